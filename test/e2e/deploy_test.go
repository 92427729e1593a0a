package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/workerapp"
)

func TestDeployInOuterFormatRunsAndIsRecorded(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1", "env_json", `{"GREETING":"hello"}`)
	payload := fmt.Sprintf(`{"worker_id":"w1","user_uid":"u1","version_id":%d}`, k.version)
	id := i.accept(t, fmt.Sprintf(`{"task_type":"worker.deploy_worker","timestamp":1700000000,"data":%q}`,
		base64.StdEncoding.EncodeToString([]byte(payload))))
	s := w.awaitState(t, k, "active", "success")
	require.EqualValues(t, k.version, s.active.Int64)
	i.awaitTask(t, w, id, "finished")
	deployment, err := w.clients.Typed.AppsV1().Deployments(w.namespaces.Worker).Get(t.Context(), k.name(), metav1.GetOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 1, deployment.Status.ReadyReplicas)
	require.Equal(t, "registry.test/app:1", deployment.Spec.Template.Spec.Containers[0].Image)
	env, err := w.clients.Typed.CoreV1().ConfigMaps(w.namespaces.Worker).Get(t.Context(), k.name()+"-env", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"GREETING": "hello"}, env.Data)
	secret, err := w.clients.Typed.CoreV1().Secrets(w.namespaces.Worker).Get(t.Context(), k.name()+"-secret", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "sk_e2e", string(secret.Data["RAYSAIL_SECRET_KEY"]))
}

func TestWorkerDeployInsertsVersionAndRunsIt(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1")
	status, answer := i.post(t, "/api/worker/deploy", `{"user_uid":"u1","worker_id":"w1","image":"registry.test/app:2","port":9000}`)
	require.Equal(t, http.StatusOK, status, answer)
	var receipt struct {
		WorkerID  string `json:"worker_id"`
		VersionID int    `json:"version_id"`
		TaskID    int64  `json:"task_id"`
		Status    string `json:"status"`
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &receipt))
	require.Equal(t, "w1", receipt.WorkerID)
	require.Equal(t, "loading", receipt.Status)
	k.version = receipt.VersionID
	w.awaitState(t, k, "active", "success")
	i.awaitTask(t, w, receipt.TaskID, "finished")
	status, _ = i.post(t, "/api/worker/deploy", `{"user_uid":"u2","worker_id":"w1","image":"registry.test/app:2","port":9000}`)
	require.Equal(t, http.StatusNotFound, status, "another user's worker")
	require.Equal(t, 2, w.count(t, `SELECT count(*) FROM worker_deploy_versions`))
}

func TestInvalidWorkerFailsAloneNamingField(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	var good []worker
	for n := range 9 {
		good = append(good, w.worker(t, "u1", fmt.Sprintf("good%d", n), "registry.test/app:1"))
	}
	bad := w.worker(t, "u1", "bad", "registry.test/app:1", "assigned_cpu", "abc")
	id := i.accept(t, bad.deployTask())
	for _, k := range good {
		i.accept(t, k.deployTask())
	}
	for _, k := range good {
		w.awaitState(t, k, "active", "success")
	}
	s := w.awaitState(t, bad, "error", "error")
	require.Contains(t, s.message, "assignedCPU")
	require.Contains(t, i.awaitTask(t, w, id, "error"), "assignedCPU")
	_, err := w.clients.Get(t.Context(), workerapp.Resource(), w.namespaces.Worker, bad.name())
	require.True(t, apierrors.IsNotFound(err), "the cluster refuses it: %v", err)
}

func TestFailedRolloutIsRecordedWithPodReason(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	for name, image := range map[string]string{"crashes": "registry.test/fail/crash:1", "pulls": "registry.test/fail/pull:1"} {
		k := w.worker(t, "u1", name, image)
		id := i.accept(t, k.deployTask())
		s := w.awaitState(t, k, "error", "error")
		require.False(t, s.active.Valid)
		want := map[string]string{"crashes": "CrashLoopBackOff", "pulls": "ImagePull"}[name]
		require.Contains(t, s.message, want)
		require.Contains(t, i.awaitTask(t, w, id, "error"), want)
	}
}

func TestNewerVersionSupersedesWaitingOne(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	first := w.worker(t, "u1", "w1", "registry.test/fail/unready:1")
	one := i.accept(t, first.deployTask())
	i.awaitTask(t, w, one, "waiting")
	second := w.newVersion(t, first, "registry.test/app:2")
	two := i.accept(t, second.deployTask())
	w.awaitState(t, second, "active", "success")
	i.awaitTask(t, w, two, "finished")
	i.awaitTask(t, w, one, "superseded")
	require.Equal(t, "error", w.state(t, first).version)
	late := i.accept(t, first.deployTask())
	i.awaitTask(t, w, late, "superseded")
	require.Equal(t, "active", w.state(t, second).worker)
}

func TestMismatchedIDsWriteNothing(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	w.user(t, "u2", "sk_other")
	mine, other := w.worker(t, "u1", "w1", "registry.test/app:1"), w.worker(t, "u2", "w2", "registry.test/app:1")
	for _, wrong := range []worker{
		{id: "w1", owner: "u2", version: mine.version},
		{id: "w1", owner: "u1", version: other.version},
		{id: "w1", owner: "u1", version: 999999},
		{id: "nobody", owner: "u1", version: mine.version},
	} {
		i.awaitTask(t, w, i.accept(t, wrong.deployTask()), "error")
	}
	i.awaitTask(t, w, i.accept(t, `{"task_type":"worker.delete_worker_cr","task_info":{"worker_id":"w1","user_uid":"u2"}}`), "error")
	for _, k := range []worker{mine, other} {
		s := w.state(t, k)
		require.Equal(t, "loading/unloaded", s.version+"/"+s.worker)
	}
	apps, err := w.clients.Dynamic.Resource(workerapp.Resource()).Namespace(w.namespaces.Worker).List(t.Context(),
		metav1.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, apps.Items)
}

func TestDeletionRemovesAllObjectsAndIsIdempotent(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1")
	i.accept(t, k.deployTask())
	w.awaitState(t, k, "active", "success")
	require.NotEmpty(t, w.objects(t))
	_, err := w.db.ExecContext(t.Context(), `DELETE FROM workers WHERE id = $1`, k.row)
	require.NoError(t, err)
	for range 2 {
		i.awaitTask(t, w, i.accept(t, `{"task_type":"worker.delete_worker_cr","task_info":{"worker_id":"w1","user_uid":"u1"}}`),
			"finished")
	}
	w.awaitNoObjects(t)
}

func TestDeletionRemovesOrphansAndWaitsForFinalizers(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.deployed(t, i, "w1")[0]
	_, err := w.db.ExecContext(t.Context(), `DELETE FROM workers WHERE id = $1`, k.row)
	require.NoError(t, err)
	hold := func(finalizers string) {
		_, err := w.clients.Typed.AppsV1().Deployments(w.namespaces.Worker).Patch(t.Context(), k.name(), types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":`+finalizers+`}}`), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	hold(`["example.com/hold"]`)
	w.orphan(t, k)
	id := i.accept(t, `{"task_type":"worker.delete_worker_cr","task_info":{"worker_id":"w1","user_uid":"u1"}}`)
	require.Eventually(t, func() bool {
		return w.count(t, fmt.Sprintf(`SELECT count(*) FROM console_tasks WHERE id = %d AND task_status = 'pending'
			AND task_detailed_status LIKE '%%held by the finalizer example.com/hold'`, id)) == 1
	}, timeout, 20*time.Millisecond, "the task does not say what holds it")
	hold("null")
	i.awaitTask(t, w, id, "finished")
	require.False(t, w.running(t, k))
	w.awaitNoObjects(t)
}

func TestUUIDGetsHashedNameAndRuns(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	const owner = "550e8400-e29b-41d4-a716-446655440000"
	w.user(t, owner, "sk_e2e")
	k := w.worker(t, owner, "My_Worker-1", "registry.test/app:1")
	require.True(t, strings.HasPrefix(k.name(), "w-my-worker-1-550e8400"), k.name())
	i.accept(t, k.deployTask())
	w.awaitState(t, k, "active", "success")
}

func TestIDsBeyondFloatPrecisionStayExact(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	// Such ids are CockroachDB's; its INTEGER has 64 bits.
	const beyond = 1<<53 + 1
	for _, statement := range []string{
		`ALTER TABLE workers ALTER COLUMN active_version_id TYPE BIGINT`,
		`ALTER SEQUENCE console_tasks_id_seq RESTART WITH ` + fmt.Sprint(beyond),
		`ALTER SEQUENCE worker_deploy_versions_id_seq RESTART WITH ` + fmt.Sprint(beyond),
	} {
		_, err := w.db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1")
	require.Equal(t, beyond, k.version)
	i.awaitTask(t, w, i.accept(t, k.deployTask()), "finished")
	require.EqualValues(t, beyond, w.state(t, k).active.Int64)

	status, answer := i.post(t, "/api/worker/deploy", `{"user_uid":"u1","worker_id":"w1","image":"registry.test/app:2","port":9000}`)
	require.Equal(t, http.StatusOK, status, answer)
	k.version++
	require.Contains(t, answer, fmt.Sprintf(`"version_id":%d,`, k.version))
	var id int64
	require.NoError(t,
		w.db.QueryRowContext(t.Context(), `SELECT max(id) FROM console_tasks WHERE task_type = 'worker.deploy_worker'`).Scan(&id))
	require.Greater(t, id, int64(beyond))
	require.Contains(t, answer, fmt.Sprintf(`"task_id":%d,`, id))
	i.awaitTask(t, w, id, "finished")
	require.EqualValues(t, k.version, w.state(t, k).active.Int64)
	w.awaitServed(t, k, "registry.test/app:2")
	require.Equal(t, id, w.app(t, k).Status.Task)
	_, answer = i.get(t, fmt.Sprintf("/api/tasks/%d", id))
	require.Contains(t, answer, fmt.Sprintf(`"task_id":%d,`, id))
}
