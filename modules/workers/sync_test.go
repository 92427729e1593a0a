package workers_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
)

// secret returns the data of w1's Secret, nil where there is none.
func (b *bundle) secret(t *testing.T) map[string]string {
	t.Helper()
	name := workerapp.SecretName(workerapp.Name("w1", "u1"))
	found, err := b.clients.Typed.CoreV1().Secrets(b.namespace).Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(t, err)
	data := map[string]string{}
	for key, value := range found.Data {
		data[key] = string(value)
	}
	return data
}

func (b *bundle) syncSecret(t *testing.T, task int64, data string) error {
	t.Helper()
	return b.run(t, "worker.sync_secret", task, `,"data":`+data)
}

// deployed deploys the first version of w1 with task 1.
func (b *bundle) deployed(t *testing.T) (version int) {
	t.Helper()
	version = b.rollOut(t, "app:1", 1, "")
	b.writeStatus(t, version, 1, workerapp.Running, "")
	return version
}

func TestSyncEndsWithOutcomeOfItsRollout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.deployed(t)
	b.exec(t, `UPDATE workers SET env_json = '{"A":"2"}'`)
	for range 2 { // killed before the task was parked
		requireKind(t, job.Parked, b.syncEnv(t, 2))
		require.Equal(t, fmt.Sprintf("loading %d", v), b.rows(t)[0])
		require.Equal(t, fmt.Sprintf("app:1 version %d task 2", v), b.app(t))
	}
	require.Equal(t, []int64{2}, b.queue.erased)
	content, err := b.source.Content(t.Context(), "w1", "u1")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": "2"}, content.Env)
	b.record(t, v, 2, "")
	require.Equal(t, []string{fmt.Sprintf("active %d", v), fmt.Sprintf("%d success", v)}, b.rows(t))
	require.NoError(t, b.syncEnv(t, 2), "the outcome is in the rows, not yet in the status")

	// With the next change the new pods crash; the old ones serve on.
	requireKind(t, job.Parked, b.syncEnv(t, 3))
	b.record(t, v, 3, "exit code 1")
	require.Equal(t, []string{fmt.Sprintf("error %d", v), fmt.Sprintf("%d success", v)}, b.rows(t), "the version serves on")
	require.Empty(t, b.queue.accepted, "there is no earlier version to restore")
	requireKind(t, job.Snooze, b.syncEnv(t, 3)) // the outcome is in the rows, its reason not yet in the status
	b.writeStatus(t, v, 3, workerapp.Failed, "exit code 1")
	reason := requireKind(t, job.Terminal, b.syncEnv(t, 3))
	require.Equal(t, "the rollout failed: exit code 1", reason)
	b.discard(t, "worker.sync_env", 3, `,"data":{}`, reason)
	require.Equal(t, []string{fmt.Sprintf("error %d", v), fmt.Sprintf("%d success", v)}, b.rows(t))
	b.exec(t, `UPDATE workers SET status = 'loading'`) // the next change was accepted
	require.Equal(t, "the rollout failed: exit code 1", requireKind(t, job.Terminal, b.syncEnv(t, 3)))
	requireKind(t, job.Parked, b.syncEnv(t, 4))
	require.NotEmpty(t, requireKind(t, job.Parked, b.syncEnv(t, 3)), "the later task applies this change too")
	require.Equal(t, fmt.Sprintf("app:1 version %d task 4", v), b.app(t))
	b.record(t, v, 4, "")
	require.Equal(t, []string{fmt.Sprintf("active %d", v), fmt.Sprintf("%d success", v)}, b.rows(t))
	require.NoError(t, b.syncEnv(t, 3))
}

func TestSyncDuringDeployKeepsDeployOutcome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.deployed(t)
	second := b.version(t, "app:2")
	requireKind(t, job.Parked, b.deploy(t, 2, second))
	requireKind(t, job.Parked, b.syncEnv(t, 3))
	changed := fmt.Sprintf("app:2 version %d task 3", second)
	require.Equal(t, changed, b.app(t))
	requireKind(t, job.Parked, b.deploy(t, 2, second))
	require.Equal(t, changed, b.app(t), "the deploy does not revert the WorkerApp")
	b.record(t, second, 3, "no")
	require.Equal(t, fmt.Sprintf("active %d", first), b.rows(t)[0])
	require.Contains(t, requireKind(t, job.Terminal, b.deploy(t, 2, second)), "no")
	require.NoError(t, b.syncEnv(t, 3), "the restored version has the change")
	// A change that runs before the restore restores the version itself.
	requireKind(t, job.Parked, b.syncEnv(t, 4))
	require.Equal(t, fmt.Sprintf("app:1 version %d task 4", first), b.app(t))
}

func TestSecretsAreStoredBeforeFirstDeploy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.version(t, "app:1")
	b.exec(t, `UPDATE workers SET secrets_json = '["A","B"]', status = 'loading'`)
	for range 2 {
		require.NoError(t, b.syncSecret(t, 1, `{"A":"1"}`))
		require.Equal(t, map[string]string{"A": "1"}, b.secret(t))
		require.Equal(t, "unloaded", b.rows(t)[0])
	}
	require.NoError(t, b.syncSecret(t, 2, `{"B":"2"}`))
	require.NoError(t, b.syncSecret(t, 1, `{"A":null}`), "the task is retried after its values were erased")
	require.Equal(t, map[string]string{"A": "1", "B": "2"}, b.secret(t))
	b.queue.unfinished = []string{"worker.deploy_worker"}
	b.exec(t, `UPDATE workers SET status = 'loading', secrets_json = '["B"]'`)
	require.NoError(t, b.syncSecret(t, 3, `{"A":""}`))
	require.Equal(t, map[string]string{"B": "2"}, b.secret(t))
	require.Equal(t, "loading", b.rows(t)[0], "the unfinished deploy writes the status")
	b.queue.unfinished = nil
	require.NoError(t, b.run(t, "worker.delete_worker_cr", 4, ""))
	require.Nil(t, b.secret(t))
	require.NoError(t, b.run(t, "worker.delete_worker_cr", 4, ""), "deleting nothing succeeds")
}

func TestSyncSecretKeepsReservedKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.deployed(t)
	// The controller makes the Secret by server-side apply.
	held := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: workerapp.SecretName(workerapp.Name("w1", "u1"))},
		StringData: map[string]string{workerapp.OwnerKey: "u1", workerapp.SecretKeyKey: "sk_1", workerapp.EndpointKey: "http://c",
			"STRAY": "x"}}
	_, err := b.clients.Typed.CoreV1().Secrets(b.namespace).Create(t.Context(), held, metav1.CreateOptions{})
	require.NoError(t, err)
	b.exec(t, `UPDATE workers SET secrets_json = '["A","RAYSAIL_UID"]'`)
	requireKind(t, job.Parked,
		b.syncSecret(t, 2, `{"A":"1","RAYSAIL_UID":"u2","RAYSAIL_SECRET_KEY":"mine","COMBINATOR_API_ENDPOINT":""}`))
	require.Equal(t, map[string]string{"A": "1", workerapp.OwnerKey: "u1", workerapp.SecretKeyKey: "sk_1",
		workerapp.EndpointKey: "http://c"}, b.secret(t))
	b.record(t, v, 2, "")
	require.NoError(t, b.syncSecret(t, 2, `{"A":null}`))
}

func TestInvalidSyncFailsWithoutChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.deployed(t)
	b.exec(t, `UPDATE workers SET secrets_json = '["A","1 2"]', status = 'loading'`)
	const data = `,"data":{"A":"marker","1 2":"marker"}`
	reason := requireKind(t, job.Terminal, b.run(t, "worker.sync_secret", 2, data))
	require.Nil(t, b.secret(t))
	b.queue.unfinished = []string{"worker.sync_env"}
	b.discard(t, "worker.sync_secret", 2, data, reason)
	require.Equal(t, fmt.Sprintf("loading %d", v), b.rows(t)[0], "a later change writes the status")
	b.queue.unfinished = nil
	b.discard(t, "worker.sync_secret", 2, data, reason)
	require.Equal(t, []string{fmt.Sprintf("error %d", v), fmt.Sprintf("%d success", v)}, b.rows(t), "the version serves on")
	require.Equal(t, []int64{2, 2}, b.queue.erased, "the values of a failed task are erased too")
	require.NotContains(t, reason, "marker")
	b.exec(t, `UPDATE workers SET env_json = '[]', secrets_json = '{}'`)
	require.Contains(t, requireKind(t, job.Terminal, b.syncEnv(t, 3)), "env_json: is not a JSON object")
	require.Contains(t, requireKind(t, job.Terminal, b.syncSecret(t, 3, `{}`)), "secrets_json: is not a JSON array")
	require.Equal(t, fmt.Sprintf("app:1 version %d task 1", v), b.app(t))
}

func TestInvalidPayloadIsRejectedWithItsField(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, jobType := range []string{"worker.sync_env", "worker.sync_secret"} {
		for payload, want := range map[string]string{
			`{"worker_id":"w1","user_uid":"u1"}`:                             "task_info.data: required",
			`{"worker_id":"w1","user_uid":"u1","data":{"A":7}}`:              "task_info.data",
			`{"worker_id":"w1","user_uid":"u1","data":["marker"]}`:           "task_info.data: must be an object",
			`{"worker_id":"w;1","user_uid":"u1","data":{"marker":"marker"}}`: "task_info.worker_id",
		} {
			_, err := b.jobs[jobType].Prepare([]byte(payload))
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "marker")
		}
	}
}

func TestErasedPayloadsHoldNoValues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	prepare := func(jobType, data string) job.Prepared {
		require.True(t, b.jobs[jobType].Secret)
		p, err := b.jobs[jobType].Prepare([]byte(`{"worker_id":"w1","user_uid":"u1","data":` + data + `}`))
		require.NoError(t, err)
		return p
	}
	secret, env := prepare("worker.sync_secret", `{"A":"marker"}`), prepare("worker.sync_env", `{"A":"marker"}`)
	require.JSONEq(t, `{"worker_id":"w1","user_uid":"u1","data":{"A":null}}`, string(secret.Erased))
	require.Contains(t, string(secret.Info), "marker")
	require.JSONEq(t, `{"worker_id":"w1","user_uid":"u1","data":{}}`, string(env.Erased))
	require.NotContains(t, string(env.Info), "marker")
	require.Less(t, len(env.Info), 200)
	other := prepare("worker.sync_env", `{"A":"other"}`)
	require.NotEqual(t, string(env.Info), string(other.Info), "different requests with one idempotency key differ")
	again, err := b.jobs["worker.sync_env"].Prepare(env.Info)
	require.NoError(t, err)
	require.Equal(t, string(env.Info), string(again.Info))
}
