package e2e_test

import (
	"context"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/test/program"
)

// watchReady polls a worker's Deployment until the returned function is called, which returns the fewest Ready pods observed.
func (w *fixture) watchReady(t *testing.T, k worker) (fewest func() int32) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	least := make(chan int32, 1)
	go func() {
		lowest := int32(1 << 30)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				least <- lowest
				return
			case <-ticker.C:
				d, err := w.clients.Typed.AppsV1().Deployments(w.namespaces.Worker).Get(ctx, k.name(), metav1.GetOptions{})
				if err == nil {
					lowest = min(lowest, d.Status.ReadyReplicas)
				}
			}
		}
	}()
	return func() int32 {
		cancel()
		return <-least
	}
}

// app returns a worker's WorkerApp.
func (w *fixture) app(t *testing.T, k worker) *workerapp.WorkerApp {
	t.Helper()
	u, err := w.clients.Get(t.Context(), workerapp.Resource(), w.namespaces.Worker, k.name())
	require.NoError(t, err)
	app, err := workerapp.FromUnstructured(u)
	require.NoError(t, err)
	return app
}

func TestFailedVersionIsRolledBackToServingOne(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	first := w.worker(t, "u1", "w1", "registry.test/app:1", "env_json", `{"A":"1"}`)
	i.accept(t, first.deployTask())
	w.awaitState(t, first, "active", "success")
	fewest := w.watchReady(t, first)
	second := w.newVersion(t, first, "registry.test/fail/crash:2")
	id := i.accept(t, second.deployTask())
	s := w.awaitState(t, second, "active", "error")
	require.EqualValues(t, first.version, s.active.Int64)
	require.Contains(t, s.message, "CrashLoopBackOff")
	require.Contains(t, i.awaitTask(t, w, id, "error"), "CrashLoopBackOff")
	require.Eventually(t, func() bool {
		app := w.app(t, first)
		return app.Spec.Image == "registry.test/app:1" && workerapp.Version(app.Annotations) == int64(first.version) &&
			app.Status.Phase == workerapp.Running && app.Status.Task == workerapp.Task(app.Annotations)
	}, timeout, 50*time.Millisecond, "the WorkerApp is put back")
	require.EqualValues(t, 1, fewest(), "there was a moment without a Ready pod")
	s = w.state(t, first)
	require.Equal(t, "active/success", s.worker+"/"+s.version)
	require.Equal(t, "error", w.state(t, second).version)
	require.Equal(t, 1, w.count(t, `SELECT count(*) FROM console_tasks WHERE task_type = 'worker.restore_worker'`))

	third := w.newVersion(t, first, "registry.test/app:3")
	i.accept(t, third.deployTask())
	s = w.awaitState(t, third, "active", "success")
	require.EqualValues(t, third.version, s.active.Int64)
	late := i.accept(t, second.deployTask())
	require.Contains(t, i.awaitTask(t, w, late, "superseded"), fmt.Sprintf("superseded by version %d", third.version))
	require.Equal(t, "registry.test/app:3", w.app(t, first).Spec.Image, "an older version never overtakes a newer one")
}

func TestRetriedDeployAfterRollbackIsDeployedAgain(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	first := w.worker(t, "u1", "w1", "registry.test/app:1")
	i.accept(t, first.deployTask())
	w.awaitState(t, first, "active", "success")
	second := w.newVersion(t, first, "registry.test/fail/crash:2")
	id := i.accept(t, second.deployTask())
	i.awaitTask(t, w, id, "error")
	require.Eventually(t, func() bool { return w.app(t, first).Spec.Image == "registry.test/app:1" }, timeout, 50*time.Millisecond)
	_, err := w.db.ExecContext(t.Context(), `UPDATE worker_deploy_versions SET image = 'registry.test/app:2' WHERE id = $1`,
		second.version)
	require.NoError(t, err)
	w.run(t, "tasks", "retry", fmt.Sprint(id))
	s := w.awaitState(t, second, "active", "success")
	require.EqualValues(t, second.version, s.active.Int64)
	i.awaitTask(t, w, id, "finished")
}

// run runs another command of the program on the fixture's database.
func (w *fixture) run(t *testing.T, arguments ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program.Path(), append(arguments, "--config", w.configFile)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func TestSecondDeployOfVersionTakesOver(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/fail/unready:1")
	one := i.accept(t, k.deployTask())
	i.awaitTask(t, w, one, "waiting")
	two := i.accept(t, k.deployTask())
	require.Equal(t, "superseded by a later deploy", i.awaitTask(t, w, one, "superseded"))
	i.awaitTask(t, w, two, "waiting")
	w.run(t, "tasks", "cancel", fmt.Sprint(two))
	s := w.awaitState(t, k, "error", "error")
	require.Equal(t, "cancelled by an operator", s.message)
}

// identity returns the id of the database.
func (w *fixture) identity(t *testing.T) (id string) {
	t.Helper()
	require.NoError(t, w.db.QueryRowContext(t.Context(), `SELECT value FROM inner_platform WHERE name = 'database'`).Scan(&id))
	return id
}

func TestCrashBetweenWorkerAppAndRowsIsRepaired(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.user(t, "u1", "sk_e2e")
	first := w.worker(t, "u1", "w1", "registry.test/app:1")
	// What a process leaves that applied the WorkerApp and was killed before it wrote any more.
	var id int64
	require.NoError(t, w.db.QueryRowContext(t.Context(), `INSERT INTO console_tasks (task_type, task_info, ordering_key)
		VALUES ('worker.deploy_worker', $1, 'worker/u1/w1') RETURNING id`,
		fmt.Sprintf(`{"worker_id":"w1","user_uid":"u1","version_id":%d}`, first.version)).Scan(&id))
	spec := workerapp.Spec{WorkerID: "w1", OwnerID: "u1", Image: "registry.test/app:1", Port: 8080}.WithDefaults()
	applied, err := w.clients.Apply(t.Context(), workerapp.Resource(),
		workerapp.ToApply(w.namespaces.Worker, spec, workerapp.Origin{Version: int64(first.version), Task: id}))
	require.NoError(t, err)
	identity := w.identity(t)
	i := w.start(t)
	i.awaitTask(t, w, id, "finished")
	require.Equal(t, identity, w.identity(t), "nothing was restored")
	s := w.awaitState(t, first, "active", "success")
	require.EqualValues(t, first.version, s.active.Int64)
	require.Equal(t, applied.GetGeneration(), w.app(t, first).Generation, "the WorkerApp was as desired")
	require.Equal(t, 1, w.rollouts(t, first))
	require.NotContains(t, w.log(t), "unmanaged fields found", "an environment without variables is as it was applied")

	// The same after a failure was recorded and before the WorkerApp was put back.
	i.stop()
	second := w.newVersion(t, first, "registry.test/fail/crash:2")
	_, err = w.db.ExecContext(t.Context(), `UPDATE worker_deploy_versions SET status = 'error', msg = 'why' WHERE id = $1`,
		second.version)
	require.NoError(t, err)
	spec.Image = "registry.test/fail/crash:2"
	_, err = w.clients.Apply(t.Context(), workerapp.Resource(),
		workerapp.ToApply(w.namespaces.Worker, spec, workerapp.Origin{Version: int64(second.version), Task: id + 1}))
	require.NoError(t, err)
	w.start(t)
	require.Eventually(t, func() bool {
		app := w.app(t, first)
		return app.Spec.Image == "registry.test/app:1" && app.Status.Phase == workerapp.Running
	}, timeout, 50*time.Millisecond, "the WorkerApp is put back")
	require.Equal(t, "active", w.state(t, first).worker)
}
