package e2e_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// change writes a column of a worker as the Outer Gateway does, marks the worker as loading, and sends the task.
func (i *inner) change(t *testing.T, w *fixture, k worker, jobType string, data map[string]string) int64 {
	t.Helper()
	_, err := w.db.ExecContext(t.Context(), `UPDATE workers SET status = 'loading' WHERE id = $1`, k.row)
	require.NoError(t, err)
	encoded, err := json.Marshal(data)
	require.NoError(t, err)
	return i.accept(t,
		fmt.Sprintf(`{"task_type":%q,"task_info":{"worker_id":%q,"user_uid":%q,"data":%s}}`, jobType, k.id, k.owner, encoded))
}

func (w *fixture) setColumn(t *testing.T, k worker, column, value string) {
	t.Helper()
	_, err := w.db.ExecContext(t.Context(), `UPDATE workers SET `+column+` = $1 WHERE id = $2`, value, k.row)
	require.NoError(t, err)
}

// awaitWorker waits until workers.status is as wanted.
func (w *fixture) awaitWorker(t *testing.T, k worker, want string) {
	t.Helper()
	require.Eventually(t, func() bool { return w.state(t, k).worker == want }, timeout, 20*time.Millisecond,
		"%s does not become %s", k.id, want)
}

// secret returns a worker's Secret, nil where there is none.
func (w *fixture) secret(t *testing.T, k worker) *corev1.Secret {
	t.Helper()
	secret, err := w.clients.Typed.CoreV1().Secrets(w.namespaces.Worker).Get(t.Context(), k.name()+"-secret", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(t, err)
	return secret
}

// userSecrets returns what a worker's Secret holds beside the platform's keys, whose values must be right.
func (w *fixture) userSecrets(t *testing.T, k worker) map[string]string {
	t.Helper()
	data := map[string]string{}
	for key, value := range w.secret(t, k).Data {
		data[key] = string(value)
	}
	require.Equal(t, k.owner, data[workerapp.OwnerKey])
	require.Equal(t, "sk_e2e", data[workerapp.SecretKeyKey])
	require.Equal(t, "http://combinator.combinator.svc.cluster.local:8899", data[workerapp.EndpointKey])
	for _, key := range workerapp.ReservedKeys() {
		delete(data, key)
	}
	return data
}

func (w *fixture) env(t *testing.T, k worker) map[string]string {
	t.Helper()
	found, err := w.clients.Typed.CoreV1().ConfigMaps(w.namespaces.Worker).Get(t.Context(), k.name()+"-env", metav1.GetOptions{})
	require.NoError(t, err)
	return found.Data
}

// rollouts returns how often a worker's pods were replaced, the first ones counted too.
func (w *fixture) rollouts(t *testing.T, k worker) int {
	t.Helper()
	d, err := w.clients.Typed.AppsV1().Deployments(w.namespaces.Worker).Get(t.Context(), k.name(), metav1.GetOptions{})
	require.NoError(t, err)
	n, err := strconv.Atoi(d.Annotations["deployment.kubernetes.io/revision"])
	require.NoError(t, err)
	return n
}

func TestSecretBeforeFirstDeployReachesPod(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1", "secrets_json", `["TOKEN"]`)
	i.awaitTask(t, w, i.change(t, w, k, "worker.sync_secret", map[string]string{"TOKEN": "t1"}), "finished")
	require.Equal(t, "unloaded", w.state(t, k).worker, "never deployed")
	require.Equal(t, "t1", string(w.secret(t, k).Data["TOKEN"]))
	w.setColumn(t, k, "env_json", `{"A":"1"}`)
	i.awaitTask(t, w, i.change(t, w, k, "worker.sync_env", map[string]string{"A": "1"}), "finished")
	require.Equal(t, "unloaded", w.state(t, k).worker)
	i.accept(t, k.deployTask())
	w.awaitState(t, k, "active", "success")
	require.Equal(t, map[string]string{"TOKEN": "t1"}, w.userSecrets(t, k))
	require.Equal(t, map[string]string{"A": "1"}, w.env(t, k))
	require.Len(t, w.secret(t, k).OwnerReferences, 1, "it goes with its WorkerApp")
	require.Equal(t, 1, w.rollouts(t, k), "the first pods saw the secret, so that none had to be restarted")
}

func TestChangedEnvironmentRestartsPods(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1", "env_json", `{"A":"1","B":"2"}`, "secrets_json", `["TOKEN","OTHER"]`)
	i.accept(t, k.deployTask())
	w.awaitState(t, k, "active", "success")
	rolled := func(jobType string, data map[string]string, want int) {
		i.awaitTask(t, w, i.change(t, w, k, jobType, data), "finished")
		require.Equal(t, "active/success", w.state(t, k).worker+"/"+w.state(t, k).version)
		require.Equal(t, want, w.rollouts(t, k))
		d, err := w.clients.Typed.AppsV1().Deployments(w.namespaces.Worker).Get(t.Context(), k.name(), metav1.GetOptions{})
		require.NoError(t, err)
		require.EqualValues(t, 1, d.Status.UpdatedReplicas, "active before the pods run with the change")
		require.EqualValues(t, 1, d.Status.Replicas)
	}
	rolled("worker.sync_secret", map[string]string{"TOKEN": "t1"}, 2)
	rolled("worker.sync_secret", map[string]string{"OTHER": "o1"}, 3)
	rolled("worker.sync_secret", map[string]string{"OTHER": "o1"}, 3) // nothing changed: nothing restarts
	require.Equal(t, map[string]string{"TOKEN": "t1", "OTHER": "o1"}, w.userSecrets(t, k))
	w.setColumn(t, k, "secrets_json", `["OTHER"]`)
	rolled("worker.sync_secret", map[string]string{"TOKEN": ""}, 4)
	require.Equal(t, map[string]string{"OTHER": "o1"}, w.userSecrets(t, k))
	w.setColumn(t, k, "env_json", `{"A":"3"}`)
	rolled("worker.sync_env", map[string]string{"A": "3"}, 5)
	require.Equal(t, map[string]string{"A": "3"}, w.env(t, k))

	configMaps := w.clients.Typed.CoreV1().ConfigMaps(w.namespaces.Worker)
	require.NoError(t, configMaps.Delete(t.Context(), k.name()+"-env", metav1.DeleteOptions{}))
	require.Eventually(t, func() bool {
		found, err := configMaps.Get(t.Context(), k.name()+"-env", metav1.GetOptions{})
		return err == nil && found.Data["A"] == "3"
	}, timeout, 50*time.Millisecond, "a lost ConfigMap comes back with its data")
	require.Equal(t, 5, w.rollouts(t, k))
}

func TestSyncsInAnyOrderConvergeToRows(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1", "env_json", `{"A":"now"}`, "secrets_json",
		`["KEPT","BACK","EMPTY","RAYSAIL_UID"]`)
	i.accept(t, k.deployTask())
	w.awaitState(t, k, "active", "success")
	for _, data := range []map[string]string{
		{"GONE": ""}, {"GONE": "late"}, // deleted in the database: its setting comes after its deletion
		{"BACK": "value"}, {"BACK": ""}, // deleted and set again: its deletion comes after its setting
		{"KEPT": "first"}, {"KEPT": "second"},
		{"EMPTY": ""},
		{"RAYSAIL_UID": "u2", "RAYSAIL_SECRET_KEY": "mine", "COMBINATOR_API_ENDPOINT": ""},
	} {
		i.change(t, w, k, "worker.sync_secret", data)
	}
	i.change(t, w, k, "worker.sync_env", map[string]string{"A": "now"})
	i.change(t, w, k, "worker.sync_env", map[string]string{"A": "before", "B": "before"})
	last := i.change(t, w, k, "worker.sync_env", map[string]string{"RAYSAIL_UID": "u2"})
	i.awaitTask(t, w, last, "finished")
	w.awaitWorker(t, k, "active")
	require.Equal(t, map[string]string{"KEPT": "second", "BACK": "value", "EMPTY": ""}, w.userSecrets(t, k))
	require.Equal(t, map[string]string{"A": "now"}, w.env(t, k))
	require.Eventually(t, func() bool {
		return w.count(t, `SELECT count(*) FROM console_tasks WHERE task_status = 'finished' AND task_type LIKE 'worker.%'`) == 12
	}, timeout, 50*time.Millisecond, "every task ends")
}

func TestInvalidNameIsReportedAndNothingApplied(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1", "env_json", `{"A":"1"}`)
	i.accept(t, k.deployTask())
	w.awaitState(t, k, "active", "success")
	w.setColumn(t, k, "env_json", `{"A":"2","not a name":"marker"}`)
	detail := i.awaitTask(t, w, i.change(t, w, k, "worker.sync_env", map[string]string{}), "error")
	require.Contains(t, detail, `"not a name" cannot be the name of a variable`)
	s := w.awaitState(t, k, "error", "success")
	require.Empty(t, s.message, "the version serves on; the task has the reason")
	require.Equal(t, map[string]string{"A": "1"}, w.env(t, k))
	w.setColumn(t, k, "secrets_json", `["1 2"]`)
	detail = i.awaitTask(t, w, i.change(t, w, k, "worker.sync_secret", map[string]string{"1 2": "marker"}), "error")
	require.Contains(t, detail, `"1 2" cannot be the name of a variable`)
	require.Empty(t, w.userSecrets(t, k))
	require.Equal(t, 1, w.rollouts(t, k))
	w.setColumn(t, k, "env_json", `{"A":"2"}`)
	i.awaitTask(t, w, i.change(t, w, k, "worker.sync_env", map[string]string{}), "finished")
	s = w.awaitState(t, k, "active", "success")
	require.Empty(t, s.message)
	require.Equal(t, map[string]string{"A": "2"}, w.env(t, k))
	never := w.worker(t, "u1", "w2", "registry.test/app:1", "env_json", `{"a b":""}`)
	i.awaitTask(t, w, i.change(t, w, never, "worker.sync_env", map[string]string{}), "error")
	require.Equal(t, "error", w.state(t, never).worker)
	w.setColumn(t, never, "env_json", `{}`)
	i.awaitTask(t, w, i.change(t, w, never, "worker.sync_env", map[string]string{}), "finished")
	require.Equal(t, "unloaded", w.state(t, never).worker)
}

func TestSecretOfUndeployedWorkerIsDeleted(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1", "secrets_json", `["TOKEN"]`)
	i.awaitTask(t, w, i.change(t, w, k, "worker.sync_secret", map[string]string{"TOKEN": "t1"}), "finished")
	require.Equal(t, []string{"secrets/" + k.name() + "-secret"}, w.objects(t))
	_, err := w.db.ExecContext(t.Context(), `DELETE FROM workers WHERE id = $1`, k.row)
	require.NoError(t, err)
	i.awaitTask(t, w, i.accept(t, `{"task_type":"worker.delete_worker_cr","task_info":{"worker_id":"w1","user_uid":"u1"}}`),
		"finished")
	require.Empty(t, w.objects(t))
}
