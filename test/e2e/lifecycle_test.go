package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/controller/workerapp"
)

// TestWorkerLifecycle is what a user does with one worker, step by step, as the Outer Gateway sends it.
func TestWorkerLifecycle(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1", "secrets_json", `["TOKEN"]`, "env_json", `{"A":"1"}`)

	// Before the first deploy.
	i.awaitTask(t, w, i.change(t, w, k, "worker.sync_secret", map[string]string{"TOKEN": "t1"}), "finished")
	i.awaitTask(t, w, i.change(t, w, k, "worker.sync_env", map[string]string{"A": "1"}), "finished")
	require.Equal(t, "unloaded", w.state(t, k).worker)

	// It runs.
	i.awaitTask(t, w, i.accept(t, k.deployTask()), "finished")
	s := w.state(t, k)
	require.Equal(t, "active/success", s.worker+"/"+s.version)
	require.Equal(t, 1, w.rollouts(t, k))
	fewest := w.watchReady(t, k)

	// It changes.
	w.setColumn(t, k, "env_json", `{"A":"2","B":"new"}`)
	i.awaitTask(t, w, i.change(t, w, k, "worker.sync_env", map[string]string{"A": "2", "B": "new"}), "finished")
	w.setColumn(t, k, "secrets_json", `["TOKEN","SECOND"]`)
	i.awaitTask(t, w, i.change(t, w, k, "worker.sync_secret", map[string]string{"SECOND": "s"}), "finished")
	w.setColumn(t, k, "secrets_json", `["SECOND"]`)
	i.awaitTask(t, w, i.change(t, w, k, "worker.sync_secret", map[string]string{"TOKEN": ""}), "finished")
	require.Equal(t, "active", w.state(t, k).worker)
	require.Equal(t, map[string]string{"SECOND": "s"}, w.userSecrets(t, k))
	require.Equal(t, map[string]string{"A": "2", "B": "new"}, w.env(t, k))
	require.Equal(t, 4, w.rollouts(t, k), "the first and one for each change")

	// A later version fails, and the environment is changed meanwhile: the first version serves on, with the change.
	second := w.newVersion(t, k, "registry.test/fail/crash:2")
	failing := i.accept(t, second.deployTask())
	i.awaitTask(t, w, failing, "waiting")
	w.setColumn(t, k, "env_json", `{"A":"3"}`)
	change := i.change(t, w, k, "worker.sync_env", map[string]string{"A": "3"})
	i.awaitTask(t, w, failing, "error")
	i.awaitTask(t, w, change, "finished")
	require.Eventually(t, func() bool {
		app := w.app(t, k)
		return app.Spec.Image == "registry.test/app:1" && app.Status.Phase == workerapp.Running &&
			app.Status.Task == workerapp.Task(app.Annotations)
	}, timeout, 50*time.Millisecond)
	s = w.awaitState(t, second, "active", "error")
	require.EqualValues(t, k.version, s.active.Int64)
	require.Equal(t, map[string]string{"A": "3"}, w.env(t, k))
	require.EqualValues(t, 1, fewest(), "there was a moment without a Ready pod")

	// It ends.
	_, err := w.db.ExecContext(t.Context(), `DELETE FROM workers WHERE id = $1`, k.row)
	require.NoError(t, err)
	i.awaitTask(t, w, i.accept(t, `{"task_type":"worker.delete_worker_cr","task_info":{"worker_id":"w1","user_uid":"u1"}}`),
		"finished")
	w.awaitNoObjects(t)
	require.Zero(t, w.count(t, `SELECT count(*) FROM console_tasks WHERE task_status NOT IN ('finished', 'error')`), "ended")
}
