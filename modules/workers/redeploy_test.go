package workers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
)

func TestLaterTaskRedeploysServedVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.rollOut(t, "app:1", 1, ""), b.rollOut(t, "app:2", 2, "")
	requireKind(t, job.Superseded, b.deploy(t, 1, first)) // an operator retries the old task
	again := fmt.Sprintf("%d loading deployed again after it had served", first)
	for range 2 { // the process is killed before the WorkerApp is written
		requireKind(t, job.Parked, b.deploy(t, 3, first))
		require.Equal(t, []string{fmt.Sprintf("loading %d", second), again, fmt.Sprintf("%d success", second)}, b.rows(t))
		require.Equal(t, fmt.Sprintf("app:1 version %d task 3", first), b.app(t))
		require.NoError(t, b.clients.Delete(t.Context(), workerapp.Resource(), b.namespace, workerapp.Name("w1", "u1"), ""))
		b.removeApps(t)
	}
	requireKind(t, job.Parked, b.deploy(t, 3, first))
	b.record(t, first, 3, "")
	require.Equal(t, []string{fmt.Sprintf("active %d", first), fmt.Sprintf("%d success", first), fmt.Sprintf("%d success", second)},
		b.rows(t))
	require.NoError(t, b.deploy(t, 3, first))
	requireKind(t, job.Parked, b.deploy(t, 4, second)) // roll forward again
	b.record(t, second, 4, "")
	require.Equal(t, fmt.Sprintf("active %d", second), b.rows(t)[0])
}

func TestFailedRedeployCanBeRetried(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.rollOut(t, "app:1", 1, ""), b.rollOut(t, "app:2", 2, "")
	requireKind(t, job.Parked, b.deploy(t, 3, first))
	b.record(t, first, 3, "exit code 3")
	require.Equal(t, []string{fmt.Sprintf("active %d", second),
		fmt.Sprintf("%d error deployed again after it had served: exit code 3", first), fmt.Sprintf("%d success", second)}, b.rows(t))
	require.Equal(t, "the rollout failed: exit code 3", requireKind(t, job.Terminal, b.deploy(t, 3, first)))
	require.NoError(t, b.run(t, "worker.restore_worker", 4, ""))
	require.Equal(t, fmt.Sprintf("app:2 version %d task 4", second), b.app(t))
	requireKind(t, job.Parked, b.deploy(t, 5, first))
	b.record(t, first, 5, "")
	require.Equal(t, fmt.Sprintf("active %d", first), b.rows(t)[0])
}

func TestRollbackSupersedesRollingVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.rollOut(t, "app:1", 1, "")
	second := b.version(t, "app:2")
	requireKind(t, job.Parked, b.deploy(t, 2, second))
	third := b.version(t, "app:3") // not deployed yet
	requireKind(t, job.Parked, b.deploy(t, 3, first))
	require.Equal(t, []string{fmt.Sprintf("loading %d", first), fmt.Sprintf("%d loading deployed again after it had served", first),
		fmt.Sprintf("%d error superseded by version %d", second, first), fmt.Sprintf("%d loading", third)}, b.rows(t))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 3", first), b.app(t))
	b.record(t, first, 3, "")
	requireKind(t, job.Parked, b.deploy(t, 4, third))
}

func TestLateOutcomeOfDeletedWorkerIsIgnored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.rollOut(t, "app:1", 1, "")
	requireKind(t, job.Snooze, b.run(t, "worker.delete_worker_cr", 2, ""))
	b.removeApps(t)
	require.NoError(t, b.run(t, "worker.delete_worker_cr", 2, ""))
	deleted := []string{"unloaded", fmt.Sprintf("%d success", v)}
	require.Equal(t, deleted, b.rows(t))
	for _, late := range []rollout.Outcome{{Running: true}, {Reason: "exit code 1"},
		{Reason: "exit code 1", HadRun: true, Since: time.Now()}} {
		late.WorkerID, late.OwnerID, late.Origin = "w1", "u1", workerapp.Origin{Version: int64(v), Task: 1}
		require.NoError(t, b.recorder.Record(t.Context(), late))
		require.Equal(t, deleted, b.rows(t))
	}
	require.Empty(t, b.queue.accepted)
}
