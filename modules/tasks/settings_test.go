package tasks_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
)

// During a rolling update that shortens tasks.takeoverAfter the replicas have different settings.
func TestReplicaWithShorterTakeoverLeavesTasksOfOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gate := make(chan struct{})
	b.job.execute = waiting(gate)
	slow := *b.config
	slow.Tasks.HeartbeatInterval, slow.Tasks.TakeoverAfter = 3*time.Second, 30*time.Second
	quick := b.config
	b.config = &slow
	b.heartbeats = store.NewHeartbeats(b.db.Heartbeat, b.config, "")
	b.start(t)
	id := b.accept(t, "k", "x")
	require.Eventually(t, func() bool { return len(b.job.starts()) == 1 }, 20*time.Second, 10*time.Millisecond)
	b.config = quick
	b.config.Tasks.TakeoverAfter = 300 * time.Millisecond
	b.heartbeats = store.NewHeartbeats(b.db.Heartbeat, b.config, "")
	b.start(t)
	heartbeats := map[string]bool{}
	require.Eventually(t, func() bool {
		var at string
		if err := b.db.QueryRowContext(t.Context(), `SELECT CAST(heartbeat_at AS TEXT) FROM inner_processes
			WHERE takeover_after_seconds = 30`).Scan(&at); err != nil {
			return false
		}
		heartbeats[at] = true
		return len(heartbeats) == 3
	}, 30*time.Second, 10*time.Millisecond)
	close(gate)
	b.awaitStatus(t, id, store.Finished)
	require.Len(t, b.job.starts(), 1)
	require.Zero(t, b.count(t, `takeovers > 0`))
}
