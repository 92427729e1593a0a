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

// counted returns the report on so many failed and running WorkerApps.
func counted(failed, running int) status.Report {
	var c tally
	for range failed {
		c.add(object(workerapp.Failed, true), time.Now(), time.Minute)
	}
	for range running {
		c.add(object(workerapp.Running, true), time.Now(), time.Minute)
	}
	return c.report("host-1_XYZ")
}

func TestReportCountsWorkerAppsAndNamesFailing(t *testing.T) {
	t.Parallel()
	report := counted(14, 2)
	require.Equal(t, "16 WorkerApps: 2 running, 0 deploying, 14 failed; most fail, which is unlikely to be their users' doing",
		report.Text)
	require.Len(t, report.Details, 1+status.MaxListed+1)
	require.Equal(t, status.Detail{Name: "leader", Value: "host-1"}, report.Details[0])
	require.Equal(t, status.Detail{Name: "w-Failed", Value: "why"}, report.Details[1])
	require.Equal(t, status.Detail{Name: "4 more", Value: "inner workers list --failing"}, report.Details[11])
	require.Len(t, counted(10, 0).Details, 11, "ten are listed without a rest")
	require.Equal(t, status.Down, (&tally{}).report("").Condition, "no process leads")
}

func TestMostWorkerAppsFailingDegradesThePlatform(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failed, running int
		want            status.Condition
	}{{0, 0, status.OK}, {4, 0, status.OK}, {5, 5, status.OK}, {6, 5, status.Degraded}, {14, 2, status.Degraded}} {
		require.Equal(t, c.want, counted(c.failed, c.running).Condition, "%+v", c)
	}
}

func TestUnobservedWorkerAppsDegradeStatus(t *testing.T) {
	t.Parallel()
	var c tally
	c.add(object(workerapp.Deploying, false), time.Now(), 2*time.Hour)
	require.Equal(t, status.OK, c.report("host-1").Condition, "within the deadline")
	c.add(object(workerapp.Deploying, false), time.Now(), time.Minute)
	require.Equal(t, status.Degraded, c.report("host-1").Condition)
}

func TestFreshChangeOfOldWorkerAppHasTheDeadline(t *testing.T) {
	t.Parallel()
	changed := func(age time.Duration, subresource string) status.Condition {
		u, at := object(workerapp.Running, false), metav1.NewTime(time.Now().Add(-age))
		u.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "inner-gateway", Subresource: subresource, Time: &at}})
		var c tally
		c.add(u, time.Now(), time.Minute)
		return c.report("host-1").Condition
	}
	require.Equal(t, status.OK, changed(time.Second, ""))
	require.Equal(t, status.Degraded, changed(2*time.Minute, ""))
	require.Equal(t, status.Degraded, changed(time.Second, "status"), "a write of the status is no change")
}
