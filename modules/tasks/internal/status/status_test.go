package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/status"
	"app238.com/inner/modules/tasks/internal/store"
)

func TestReplicasOfSeveralVersionsDegradeAfterARollout(t *testing.T) {
	t.Parallel()
	replica := func(host, version string, started time.Duration) store.Replica {
		return store.Replica{Host: host, Version: version, StartedAge: started.Seconds()}
	}
	takeover := time.Minute
	first, second := replica("a", "v1", 48*time.Hour), replica("b", "v1", 47*time.Hour)
	report := replicas([]store.Replica{first, second}, takeover)
	require.Equal(t, status.OK, report.Condition)
	require.Equal(t, "2 alive", report.Text)
	require.Contains(t, report.Details[0].Value, "v1, 0 tasks claimed")

	report = replicas([]store.Replica{first, replica("b", "v2", time.Minute)}, takeover)
	require.Equal(t, status.OK, report.Condition, "a rollout")
	require.Equal(t, "2 alive; several versions for 1m0s: 1 of v1, 1 of v2", report.Text)

	// The mix began when the first process of v2 started, whatever started later.
	mixed := []store.Replica{first, replica("b", "v2", 3*time.Hour), replica("c", "v2", time.Minute), replica("d", "", 50*time.Hour)}
	report = replicas(mixed, takeover)
	require.Equal(t, status.Degraded, report.Condition)
	require.Equal(t, "4 alive; several versions for 3h0m0s: 1 of unknown version, 1 of v1, 2 of v2", report.Text)

	dead := replica("b", "v2", 3*time.Hour)
	dead.HeartbeatAge = 100
	require.Equal(t, status.OK, replicas([]store.Replica{first, dead}, takeover).Condition, "only processes that are alive count")
}
