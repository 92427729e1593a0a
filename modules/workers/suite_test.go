// Package workers_test runs the jobs of workers and the controller's seam on a real database and a real API server. The
// tests play the queue and the controller, so that every order of events is possible.
package workers_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers"
	"app238.com/inner/modules/workers/admin"
	"app238.com/inner/test/testdatabase"
)

// Idle connections of client-go and net/http are not leaks.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*clientConnReadLoop).run"),
		goleak.IgnoreAnyFunction("net/http.(*http2clientConnReadLoop).run"),
		goleak.IgnoreAnyFunction("net/http/internal/http2.(*clientConnReadLoop).run"),
	)
}

// bundle is the module on a database and namespaces of its own.
type bundle struct {
	db        *testdatabase.Database
	clients   *kube.Clients
	namespace string
	ingress   string
	queue     *fakeQueue
	registry  *prometheus.Registry
	jobs      map[string]job.Definition
	source    rollout.Source
	recorder  rollout.Recorder
	inventory inventory.Inventory
	admin     admin.Admin
	logged    *observer.ObservedLogs
	// row is workers.id of the worker w1 of the user u1.
	row int
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{db: testdatabase.New(t), queue: &fakeQueue{}, registry: prometheus.NewRegistry(), jobs: map[string]job.Definition{}}
	c := b.db.Config
	c.Database.StatementTimeout = time.Minute // a page of 70,000 rows on a busy machine
	c.Kubernetes.Kubeconfig = os.Getenv("INNER_TEST_KUBECONFIG")
	require.NotEmpty(t, c.Kubernetes.Kubeconfig, "INNER_TEST_KUBECONFIG is not set: run the tests with make test")
	b.namespace = "worker-" + strings.ToLower(rand.Text()[:8])
	b.ingress = strings.Replace(b.namespace, "worker", "ingress", 1)
	c.Kubernetes.Namespaces.Worker, c.Kubernetes.Namespaces.Ingress, c.Domain = b.namespace, b.ingress, "example.test"
	var definitions struct {
		fx.In
		Jobs        []job.Definition      `group:"jobs"`
		Inventories []inventory.Inventory `group:"inventories"`
	}
	core, logged := observer.New(zap.WarnLevel)
	b.logged = logged
	program := fx.New(fx.NopLogger, workers.Module,
		fx.Provide(func() *config.Config { return c }, func() *sql.DB { return b.db.DB }, database.NewEnt, kube.NewClients,
			func() *prometheus.Registry { return b.registry },
			func() *zap.Logger { return zap.New(core) },
			fx.Annotate(func() *fakeQueue { return b.queue }, fx.As(new(job.Queue))),
			fx.Annotate(func() *fakeTasks { return &fakeTasks{queue: b.queue} }, fx.As(new(job.Admin)))),
		fx.Populate(&definitions, &b.source, &b.recorder, &b.clients, &b.admin))
	require.NoError(t, program.Err())
	for _, d := range definitions.Jobs {
		b.jobs[d.Type] = d
	}
	require.Len(t, definitions.Inventories, 1)
	b.inventory = definitions.Inventories[0]
	namespaces := b.clients.Typed.CoreV1().Namespaces()
	for _, name := range []string{b.namespace, b.ingress} {
		_, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = namespaces.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}) })
	}
	t.Cleanup(func() { b.removeApps(t) })
	b.exec(t, `INSERT INTO users (uid, email, password_hash, secret_key) VALUES ('u1', 'u1@example.com', 'x', 'sk_1')`)
	require.NoError(t, b.db.QueryRowContext(t.Context(), `INSERT INTO workers (wid, user_uid, worker_name, status)
		VALUES ('w1', 'u1', 'a worker', 'unloaded') RETURNING id`).Scan(&b.row))
	return b
}

// removeApps deletes the WorkerApps and their finalizers, as a controller would.
func (b *bundle) removeApps(t *testing.T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	apps := b.clients.Dynamic.Resource(workerapp.Resource()).Namespace(b.namespace)
	list, err := apps.List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	for _, app := range list.Items {
		_, err := apps.Patch(ctx, app.GetName(), types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`),
			metav1.PatchOptions{})
		require.NoError(t, err)
		require.NoError(t, b.clients.Delete(ctx, workerapp.Resource(), b.namespace, app.GetName(), ""))
	}
}

func (b *bundle) count(t *testing.T, query string) (n int) {
	t.Helper()
	require.NoError(t, b.db.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}

func (b *bundle) exec(t *testing.T, query string) {
	t.Helper()
	_, err := b.db.ExecContext(t.Context(), query)
	require.NoError(t, err)
}

// version inserts a version of w1.
func (b *bundle) version(t *testing.T, image string) (id int) {
	t.Helper()
	require.NoError(t, b.db.QueryRowContext(t.Context(), `INSERT INTO worker_deploy_versions (worker_id, image, port, status)
		VALUES ($1, $2, 8080, 'loading') RETURNING id`, b.row, image).Scan(&id))
	return id
}

// run executes a task of w1; more holds further fields of the payload.
func (b *bundle) run(t *testing.T, jobType string, task int64, more string) error {
	t.Helper()
	return b.prepared(t, jobType, more).Execute(t.Context(), job.Task{ID: task, Type: jobType, Attempt: 1})
}

func (b *bundle) discard(t *testing.T, jobType string, task int64, more, reason string) {
	t.Helper()
	require.NoError(t, b.prepared(t, jobType, more).OnDiscarded(t.Context(), job.Task{ID: task, Type: jobType, Attempt: 1}, reason))
}

func (b *bundle) prepared(t *testing.T, jobType, more string) job.Prepared {
	t.Helper()
	p, err := b.jobs[jobType].Prepare([]byte(`{"worker_id":"w1","user_uid":"u1"` + more + `}`))
	require.NoError(t, err)
	return p
}

func (b *bundle) deploy(t *testing.T, task int64, version int) error {
	t.Helper()
	return b.run(t, "worker.deploy_worker", task, fmt.Sprintf(`,"version_id":%d`, version))
}

func (b *bundle) syncEnv(t *testing.T, task int64) error {
	t.Helper()
	return b.run(t, "worker.sync_env", task, `,"data":{}`)
}

// record records the outcome of a rollout of w1, as the controller does before it writes the status.
func (b *bundle) record(t *testing.T, version int, task int64, failure string) {
	t.Helper()
	require.NoError(t, b.recorder.Record(t.Context(), rollout.Outcome{
		WorkerID: "w1", OwnerID: "u1", Origin: workerapp.Origin{Version: int64(version), Task: task}, Running: failure == "",
		Reason: failure,
	}))
}

// rollOut deploys a new version of w1 and records the outcome of its rollout.
func (b *bundle) rollOut(t *testing.T, image string, task int64, failure string) (version int) {
	t.Helper()
	version = b.version(t, image)
	requireKind(t, job.Parked, b.deploy(t, task, version))
	b.record(t, version, task, failure)
	return version
}

// writeStatus writes the WorkerApp's status as the controller does after it recorded an outcome.
func (b *bundle) writeStatus(t *testing.T, version int, task int64, phase workerapp.Phase, message string) {
	t.Helper()
	patch := fmt.Sprintf(`{"status":{"phase":%q,"message":%q,"version":%d,"task":%d,"database":%q,"conditions":[{"type":"Recorded","status":"True",
		"reason":%q,"message":"","lastTransitionTime":%q}]}}`, phase, message, version, task, b.origin(t).Database, phase, time.Now().UTC().Format(time.RFC3339))
	_, err := b.clients.Dynamic.Resource(workerapp.Resource()).Namespace(b.namespace).Patch(t.Context(), workerapp.Name("w1", "u1"),
		types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	require.NoError(t, err)
}

// app returns image, version and task of the WorkerApp, "" where there is none.
func (b *bundle) app(t *testing.T) string {
	t.Helper()
	list, err := b.clients.Dynamic.Resource(workerapp.Resource()).Namespace(b.namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	var found []string
	for _, item := range list.Items {
		app, err := workerapp.FromUnstructured(&item)
		require.NoError(t, err)
		found = append(found,
			fmt.Sprintf("%s version %d task %d", app.Spec.Image, workerapp.Version(app.Annotations), workerapp.Task(app.Annotations)))
	}
	return strings.Join(found, ", ")
}

// rows returns the status and the active version of the worker, then the status and the message of each version.
func (b *bundle) rows(t *testing.T) []string {
	t.Helper()
	var status string
	var active sql.NullInt64
	require.NoError(t,
		b.db.QueryRowContext(t.Context(), `SELECT status, active_version_id FROM workers WHERE id = $1`, b.row).Scan(&status, &active))
	all := []string{strings.TrimSuffix(fmt.Sprintf("%s %d", status, active.Int64), " 0")}
	versions, err := b.db.QueryContext(t.Context(), `SELECT id, status, msg FROM worker_deploy_versions ORDER BY id`)
	require.NoError(t, err)
	defer func() { _ = versions.Close() }()
	for versions.Next() {
		var id int
		var status, msg string
		require.NoError(t, versions.Scan(&id, &status, &msg))
		all = append(all, strings.TrimSpace(fmt.Sprintf("%d %s %s", id, status, msg)))
	}
	require.NoError(t, versions.Err())
	return all
}

// kind is the kind of a job's result, -1 for success.
func kind(t *testing.T, err error) (job.Kind, string) {
	t.Helper()
	if err == nil {
		return -1, ""
	}
	e := job.AsError(err)
	return e.Kind, e.Text
}

func requireKind(t *testing.T, want job.Kind, err error) string {
	t.Helper()
	got, text := kind(t, err)
	require.Equal(t, want, got, "%v", err)
	return text
}
