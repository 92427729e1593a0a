package kube_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/app/kube"
)

func TestConflictsAreRetriedUntilTheContextEnds(t *testing.T) {
	t.Parallel()
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "deployments"}, "w-1", errors.New("changed"))
	calls := 0
	require.NoError(t, kube.RetryConflicts(t.Context(), func() error {
		if calls++; calls < 4 {
			return conflict
		}
		return nil
	}))
	require.Equal(t, 4, calls)

	refused := errors.New("refused")
	require.ErrorIs(t, kube.RetryConflicts(t.Context(), func() error { return refused }), refused)

	ctx, cancel := context.WithCancel(t.Context())
	calls = 0
	err := kube.RetryConflicts(ctx, func() error {
		calls++
		cancel()
		return conflict
	})
	require.True(t, kube.IsConflict(err), "%v", err)
	require.Equal(t, 1, calls)
}
