package kube_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/app/kube"
)

func TestExpectationsAreSatisfiedByTheCache(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	ref := kube.Ref{Resource: corev1.SchemeGroupVersion.WithResource("configmaps"), Namespace: "worker", Name: "n-env"}
	for name, test := range map[string]struct {
		cached string
		after  time.Duration
		waits  bool
	}{
		"not seen":        {"", 0, true},
		"earlier version": {"99", 0, true},
		"that version":    {"100", 0, false},
		"later version":   {"1000", 0, false},
		"no number":       {"x", 0, false},
		"never seen":      {"", time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := kube.NewExpectations()
			cached := func(kube.Ref) string { return test.cached }
			require.Zero(t, w.Remaining("n", cached, noon))
			w.ExpectVersion("n", ref, "100", noon)
			require.Zero(t, w.Remaining("other", cached, noon))
			require.Equal(t, test.waits, w.Remaining("n", cached, noon.Add(test.after)) > 0)
			if !test.waits {
				require.Zero(t, w.Remaining("n", func(kube.Ref) string { return "" }, noon), "once shown it is forgotten")
			}
		})
	}
}

func TestDeletionSatisfiesEarlierExpectationOnly(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ref := kube.Ref{Resource: corev1.SchemeGroupVersion.WithResource("configmaps"), Namespace: "worker", Name: "n-env"}
	none := func(kube.Ref) string { return "" }
	w := kube.NewExpectations()
	w.ExpectVersion("n", ref, "100", now)
	w.DeletionObserved("n", ref, "99")
	require.NotZero(t, w.Remaining("n", none, now), "the write came after the deletion")
	w.DeletionObserved("n", ref, "101")
	require.Zero(t, w.Remaining("n", none, now))
	w.DeletionObserved("unknown", ref, "1")
}
