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

func TestADeployThatRunsAgainAtAnyPointEndsAsTheRowsSay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.version(t, "app:1")
	wished := fmt.Sprintf("app:1 version %d task 5", v)
	// It is killed after the WorkerApp was written and before it was parked.
	for range 2 {
		require.Contains(t, requireKind(t, job.Parked, b.deploy(t, 5, v)), fmt.Sprintf("version %d", v))
		require.Equal(t, wished, b.app(t))
		require.Equal(t, []string{"loading", fmt.Sprintf("%d loading", v)}, b.rows(t))
	}
	// The outcome is recorded twice, because the controller was killed before it wrote the status.
	for range 2 {
		b.record(t, v, 5, "")
		require.Equal(t, []string{fmt.Sprintf("active %d", v), fmt.Sprintf("%d success", v)}, b.rows(t))
	}
	require.NoError(t, b.deploy(t, 5, v))
	require.Equal(t, wished, b.app(t))
	require.Empty(t, b.queue.accepted)
}

func TestAFailedRolloutOfALaterVersionIsPutBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.rollOut(t, "app:1", 1, "")
	second := b.rollOut(t, "app:2", 2, "exit code 3")
	served := []string{fmt.Sprintf("active %d", first), fmt.Sprintf("%d success", first), fmt.Sprintf("%d error exit code 3", second)}
	require.Equal(t, served, b.rows(t))
	require.Equal(t, []string{`worker.restore_worker {"worker_id":"w1","user_uid":"u1"}`}, b.queue.accepted)
	require.Equal(t, "worker/u1/w1 after 0 accepted", b.queue.woken[1], "the deploy must run before the WorkerApp is put back, or it would begin anew")
	require.Contains(t, requireKind(t, job.Terminal, b.deploy(t, 2, second)), "exit code 3")

	require.NoError(t, b.run(t, "worker.restore_worker", 3, ""))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 3", first), b.app(t))
	require.NoError(t, b.run(t, "worker.restore_worker", 4, ""))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 3", first), b.app(t), "nothing to change: nothing is written")
	// Its rollout cannot complete, say for a registry that is away; the pods of before serve on.
	b.record(t, first, 3, "image not pulled")
	require.Equal(t, served, b.rows(t))
	require.Len(t, b.queue.accepted, 1, "there is nothing further to go back to")
	b.record(t, first, 3, "")
	require.Equal(t, served, b.rows(t))
}

func TestARestoreIsAskedForOnceAndNotWithoutAVersionThatServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.rollOut(t, "app:1", 1, "no")
	require.Equal(t, []string{"error", fmt.Sprintf("%d error no", first)}, b.rows(t))
	require.Empty(t, b.queue.accepted)
	require.NoError(t, b.run(t, "worker.restore_worker", 2, ""))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 1", first), b.app(t))
	b.record(t, first, 1, "")
	require.Equal(t, []int64{1}, b.queue.healed, "a failure may become a success later")
	second := b.version(t, "app:2")
	requireKind(t, job.Parked, b.deploy(t, 3, second))
	b.queue.unfinished = []string{"worker.restore_worker"}
	b.record(t, second, 3, "no")
	require.Empty(t, b.queue.accepted)
}

func TestALostWorkerAppIsRestoredUnlessADeployIsAboutToWriteIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.rollOut(t, "app:1", 1, "")
	require.NoError(t, b.clients.Delete(t.Context(), workerapp.Resource(), b.namespace, workerapp.Name("w1", "u1")))
	for _, jobType := range []string{"worker.restore_worker", "worker.sync_env", "worker.sync_secret"} {
		require.Equal(t, "waiting until the deleted worker of the same name is gone",
			requireKind(t, job.Snooze, b.run(t, jobType, 2, `,"data":{"A":"lost with the old one"}`)))
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

func TestAnOlderVersionNeverOvertakesANewerOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.version(t, "app:1"), b.version(t, "app:2")
	b.queue.newest = []byte(fmt.Sprintf(`{"worker_id":"w1","user_uid":"u1","version_id":%d}`, second))
	requireKind(t, job.Superseded, b.deploy(t, 1, first))
	require.Empty(t, b.app(t), "a newer one waits already")
	b.queue.newest = nil
	requireKind(t, job.Parked, b.deploy(t, 2, second))
	b.record(t, second, 2, "")
	require.Contains(t, requireKind(t, job.Superseded, b.deploy(t, 3, first)), fmt.Sprintf("superseded by version %d", second), "it never served")
	require.Equal(t, fmt.Sprintf("app:2 version %d task 2", second), b.app(t))
	b.record(t, first, 1, "") // an outcome that comes late
	require.Equal(t, fmt.Sprintf("active %d", second), b.rows(t)[0])
}

func TestAVersionThatIsDeployedAnewAndGivenUpServesOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.version(t, "app:1")
	b.giveUp(t, "worker.deploy_worker", 1, fmt.Sprintf(`,"version_id":%d`, v), "cancelled by an operator")
	require.Equal(t, []string{"error", fmt.Sprintf("%d error cancelled by an operator", v)}, b.rows(t))
	requireKind(t, job.Parked, b.deploy(t, 2, v))
	b.record(t, v, 2, "")
	requireKind(t, job.Parked, b.deploy(t, 3, v))
	require.Equal(t, "worker/u1/w1 before 3: superseded by a later deploy", b.queue.ended[1])
	b.giveUp(t, "worker.deploy_worker", 3, fmt.Sprintf(`,"version_id":%d`, v), "no luck")
	require.Equal(t, []string{fmt.Sprintf("active %d", v), fmt.Sprintf("%d success", v)}, b.rows(t))
	// While a later task is under way, the worker's status is that one's to write.
	second := b.version(t, "app:2")
	requireKind(t, job.Parked, b.deploy(t, 4, second))
	b.queue.unfinished = []string{"worker.sync_env"}
	b.record(t, second, 4, "")
	require.Equal(t, fmt.Sprintf("loading %d", second), b.rows(t)[0])
}

func TestAnEnvironmentThatNoPodCanHaveIsRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.version(t, "app:1")
	b.exec(t, `UPDATE workers SET env_json = '{"a b":"marker"}'`)
	require.Contains(t, requireKind(t, job.Terminal, b.deploy(t, 1, v)), `"a b" cannot be the name of a variable`)
	require.Empty(t, b.app(t))
}

func TestAVersionThatFailsAfterItRanKeepsItsSuccessAndSaysSinceWhen(t *testing.T) {
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
	require.Empty(t, b.queue.accepted, "its owner deployed it: it is not put back")
	b.record(t, second, 2, "")
	require.Equal(t, []string{fmt.Sprintf("active %d", second), fmt.Sprintf("%d success", first), fmt.Sprintf("%d success", second)}, b.rows(t))
}
