package workers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/metricstest"
)

func TestDeployIsIdempotentAtEveryStep(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.version(t, "app:1")
	want := fmt.Sprintf("app:1 version %d task 5", v)
	// The process is killed after the WorkerApp was written and before the task was parked.
	for range 2 {
		require.Contains(t, requireKind(t, job.Parked, b.deploy(t, 5, v)), fmt.Sprintf("version %d", v))
		require.Equal(t, want, b.app(t))
		require.Equal(t, []string{"loading", fmt.Sprintf("%d loading", v)}, b.rows(t))
	}
	// The outcome is recorded twice, as after a kill before the controller wrote the status.
	for range 2 {
		b.record(t, v, 5, "")
		require.Equal(t, []string{fmt.Sprintf("active %d", v), fmt.Sprintf("%d success", v)}, b.rows(t))
	}
	require.NoError(t, b.deploy(t, 5, v))
	require.Equal(t, want, b.app(t))
	require.Empty(t, b.queue.accepted)
}

func TestFailedRolloutRestoresActiveVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.rollOut(t, "app:1", 1, "")
	second := b.rollOut(t, "app:2", 2, "exit code 3")
	served := []string{fmt.Sprintf("active %d", first), fmt.Sprintf("%d success", first),
		fmt.Sprintf("%d error exit code 3", second)}
	require.Equal(t, served, b.rows(t))
	require.Equal(t, []string{`worker.restore_worker {"worker_id":"w1","user_uid":"u1"}`}, b.queue.accepted)
	require.Equal(t, "worker/u1/w1 after 0 accepted", b.queue.resumed[1],
		"the deploy must run before the restore, or it would start again")
	require.Contains(t, requireKind(t, job.Terminal, b.deploy(t, 2, second)), "exit code 3")

	require.NoError(t, b.run(t, "worker.restore_worker", 3, ""))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 3", first), b.app(t))
	require.NoError(t, b.run(t, "worker.restore_worker", 4, ""))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 3", first), b.app(t), "nothing has changed, so nothing is written")
	// Its rollout cannot complete, for example because the registry is unavailable; the old pods serve on.
	b.record(t, first, 3, "image not pulled")
	require.Equal(t, served, b.rows(t))
	require.Len(t, b.queue.accepted, 1, "there is no earlier version to restore")
	b.record(t, first, 3, "")
	require.Equal(t, served, b.rows(t))
}

func TestRestoreIsQueuedOnceAndOnlyWithActiveVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.rollOut(t, "app:1", 1, "no")
	require.Equal(t, []string{"error", fmt.Sprintf("%d error no", first)}, b.rows(t))
	require.Empty(t, b.queue.accepted)
	require.NoError(t, b.run(t, "worker.restore_worker", 2, ""))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 1", first), b.app(t))
	b.record(t, first, 1, "")
	require.Equal(t, []int64{1}, b.queue.completed, "a failure may be followed by a success")
	require.Len(t, b.queue.resumed, b.queue.completedAfter, "a task that fails between the two would stay failed")
	second := b.version(t, "app:2")
	requireKind(t, job.Parked, b.deploy(t, 3, second))
	b.queue.unfinished = []string{"worker.restore_worker"}
	b.record(t, second, 3, "no")
	require.Empty(t, b.queue.accepted)
}

func TestMissingWorkerAppIsRestoredUnlessDeployIsQueued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.rollOut(t, "app:1", 1, "")
	require.NoError(t, b.clients.Delete(t.Context(), workerapp.Resource(), b.namespace, workerapp.Name("w1", "u1"), ""))
	for _, jobType := range []string{"worker.restore_worker", "worker.sync_env", "worker.sync_secret"} {
		require.Equal(t, "waiting for the deletion of the previous worker of the same name",
			requireKind(t, job.Snooze, b.run(t, jobType, 2, `,"data":{"A":"of the deleted worker"}`)))
	}
	require.Nil(t, b.secret(t))
	b.removeApps(t)
	require.Empty(t, b.app(t))
	b.queue.unfinished = []string{"worker.deploy_worker"}
	require.NoError(t, b.run(t, "worker.restore_worker", 2, ""))
	require.Empty(t, b.app(t))
	b.queue.unfinished = nil
	require.NoError(t, b.run(t, "worker.restore_worker", 2, ""))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 2", v), b.app(t))
}

func TestOlderVersionNeverReplacesNewerOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.version(t, "app:1"), b.version(t, "app:2")
	b.queue.newest = []byte(fmt.Sprintf(`{"worker_id":"w1","user_uid":"u1","version_id":%d}`, second))
	requireKind(t, job.Superseded, b.deploy(t, 1, first))
	require.Empty(t, b.app(t), "a newer version is queued")
	b.queue.newest = nil
	requireKind(t, job.Parked, b.deploy(t, 2, second))
	b.record(t, second, 2, "")
	require.Contains(t, requireKind(t, job.Superseded, b.deploy(t, 3, first)), fmt.Sprintf("superseded by version %d", second),
		"it never served")
	require.Equal(t, fmt.Sprintf("app:2 version %d task 2", second), b.app(t))
	b.record(t, first, 1, "") // a late outcome
	require.Equal(t, fmt.Sprintf("active %d", second), b.rows(t)[0])
}

func TestDiscardedRedeployKeepsVersionActive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.version(t, "app:1")
	b.discard(t, "worker.deploy_worker", 1, fmt.Sprintf(`,"version_id":%d`, v), "cancelled by an operator")
	require.Equal(t, []string{"error", fmt.Sprintf("%d error cancelled by an operator", v)}, b.rows(t))
	requireKind(t, job.Parked, b.deploy(t, 2, v))
	b.record(t, v, 2, "")
	requireKind(t, job.Parked, b.deploy(t, 3, v))
	require.Equal(t, "worker/u1/w1 before 3: superseded by a later deploy", b.queue.ended[1])
	b.discard(t, "worker.deploy_worker", 3, fmt.Sprintf(`,"version_id":%d`, v), "failed")
	require.Equal(t, []string{fmt.Sprintf("active %d", v), fmt.Sprintf("%d success", v)}, b.rows(t))
	// While a later task is unfinished, the worker's status is written by that task.
	second := b.version(t, "app:2")
	requireKind(t, job.Parked, b.deploy(t, 4, second))
	b.queue.unfinished = []string{"worker.sync_env"}
	b.record(t, second, 4, "")
	require.Equal(t, fmt.Sprintf("loading %d", second), b.rows(t)[0])
}

func TestInvalidEnvironmentFailsDeployBeforeAnyWrite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.version(t, "app:1")
	b.exec(t, `UPDATE workers SET env_json = '{"a b":"marker"}'`)
	require.Contains(t, requireKind(t, job.Terminal, b.deploy(t, 1, v)), `"a b" cannot be the name of a variable`)
	require.Empty(t, b.app(t))
}

func TestLaterFailureKeepsSuccessAndNamesItsStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.rollOut(t, "app:1", 1, "")
	second := b.rollOut(t, "app:2", 2, "")
	since := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		serving bool
		status  string
	}{{true, "active"}, {false, "error"}, {true, "active"}, {false, "error"}} {
		require.NoError(t, b.recorder.Record(t.Context(), rollout.Outcome{
			WorkerID: "w1", OwnerID: "u1", Origin: workerapp.Origin{Version: int64(second), Task: 2},
			Reason: "OOMKilled: exit code 137", HadRun: true, Since: since, Serving: test.serving,
		}))
		require.Equal(t, []string{
			fmt.Sprintf("%s %d", test.status, second), fmt.Sprintf("%d success", first),
			fmt.Sprintf("%d success since 2026-11-28T03:00:00Z: OOMKilled: exit code 137", second),
		}, b.rows(t))
	}
	require.Empty(t, b.queue.accepted, "a later failure is not rolled back")
	b.record(t, second, 2, "")
	require.Equal(t, []string{fmt.Sprintf("active %d", second), fmt.Sprintf("%d success", first), fmt.Sprintf("%d success", second)},
		b.rows(t))
}

func TestVersionOverLimitFailsAndKeepsActiveVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.rollOut(t, "app:1", 1, "")
	for column, value := range map[string]string{
		"max_replicas": "101", "assigned_cpu": "'65'", "assigned_memory": "'257Gi'", "assigned_disk": "'2Ti'",
	} {
		b.exec(t, `UPDATE workers SET assigned_cpu = '1', assigned_memory = '1Gi', assigned_disk = '1Gi', max_replicas = 1`)
		b.exec(t, `UPDATE workers SET `+column+` = `+value)
		b.queue.ended = nil
		v := b.version(t, "app:2")
		reason := requireKind(t, job.Terminal, b.deploy(t, 2, v))
		require.Contains(t, reason, column+": ")
		require.Contains(t, reason, "the most that a worker can have (controller.limits.")
		require.Empty(t, b.queue.ended, "the earlier deploy continues")
		b.discard(t, "worker.deploy_worker", 2, fmt.Sprintf(`,"version_id":%d`, v), reason)
		require.Equal(t, fmt.Sprintf("active %d", first), b.rows(t)[0])
		require.Contains(t, b.rows(t), fmt.Sprintf("%d error %s", v, reason))
		require.Equal(t, reason, requireKind(t, job.Terminal, b.syncEnv(t, 3)), "a change of the environment is limited too")
		require.Equal(t, fmt.Sprintf("app:1 version %d task 1", first), b.app(t))
		b.exec(t, `UPDATE workers SET status = 'active'`)
	}
}

func TestRolloutsAndRestoresAreCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.rollOut(t, "app:1", 1, "")
	b.rollOut(t, "app:2", 2, "exit code 3")
	require.Equal(t, map[string]float64{
		"inner_worker_rollouts_total/running": 1, "inner_worker_rollouts_total/failed": 1, "inner_worker_rollouts_total/broke": 0,
		"inner_worker_restores_total": 1,
	}, metricstest.Values(t, b.registry))
}
