package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/status"
	"app238.com/inner/modules/controller/workerapp"
)

// object returns an old WorkerApp in this phase, whose current generation is observed or not.
func object(phase workerapp.Phase, observed bool) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "w-" + string(phase), "generation": int64(2)},
		"spec":     map[string]any{"workerID": "w", "ownerID": "u", "image": "i", "port": int64(80)},
		"status":   map[string]any{"phase": string(phase), "message": "why", "observedGeneration": int64(1)},
	}}
	u.SetCreationTimestamp(metav1.NewTime(time.Now().Add(-time.Hour)))
	if observed {
		_ = unstructured.SetNestedField(u.Object, int64(2), "status", "observedGeneration")
	}
	return u
}

func TestReportCountsWorkerAppsAndNamesFailing(t *testing.T) {
	t.Parallel()
	var c tally
	for range maxFailing + 5 {
		c.add(object(workerapp.Failed, true), time.Now(), time.Minute)
	}
	c.add(object(workerapp.Running, true), time.Now(), time.Minute)
	report := c.report("host-1_XYZ")
	require.Equal(t, "16 WorkerApps: 1 running, 0 deploying, 15 failed", report.Text)
	require.Equal(t, status.OK, report.Condition, "a user's broken image does not degrade the platform")
	require.Len(t, report.Details, maxFailing+1)
	require.Equal(t, status.Detail{Name: "leader", Value: "host-1"}, report.Details[0])
	require.Equal(t, status.Detail{Name: "w-Failed", Value: "why"}, report.Details[1])
	require.Equal(t, status.Down, c.report("").Condition, "no process leads")
}

func TestUnobservedWorkerAppsDegradeStatus(t *testing.T) {
	t.Parallel()
	var c tally
	c.add(object(workerapp.Deploying, false), time.Now(), 2*time.Hour)
	require.Equal(t, status.OK, c.report("host-1").Condition, "within the deadline")
	c.add(object(workerapp.Deploying, false), time.Now(), time.Minute)
	require.Equal(t, status.Degraded, c.report("host-1").Condition)
}
