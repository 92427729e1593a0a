package e2e_test

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/testdatabase"
)

// timeout is how long a test waits for an expected event on a busy machine.
const timeout = 3 * time.Minute

// fixture is the platform of a test: a database, namespaces, and rows as the Outer Gateway writes them.
type fixture struct {
	db         *sql.DB
	proxy      *proxy.Proxy // between Inner and the database
	clients    *kube.Clients
	namespaces config.Namespaces
	configFile string
	logFile    string
	program    string // what is run; "" is this release's
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixtureIn(t, testdatabase.New(t))
}

// newFixtureIn returns a platform in a database.
func newFixtureIn(t *testing.T, db *testdatabase.Database) *fixture {
	t.Helper()
	kubeconfig := os.Getenv("INNER_TEST_KUBECONFIG")
	require.NotEmpty(t, kubeconfig, "INNER_TEST_KUBECONFIG is not set: run the tests with make test")
	c := db.Config
	c.Kubernetes.Kubeconfig = kubeconfig
	clients, err := kube.NewClients(c)
	require.NoError(t, err)
	suffix := strings.ToLower(rand.Text()[:8])
	w := &fixture{db: db.DB, clients: clients, namespaces: config.Namespaces{
		Control: "console", Combinator: "combinator", Worker: "worker-" + suffix, Ingress: "ingress-" + suffix,
	}}
	for _, name := range []string{w.namespaces.Worker, w.namespaces.Ingress} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		_, err := clients.Typed.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	w.proxy = proxy.New(t, c.Database.DSN.Reveal())
	folder := t.TempDir()
	w.configFile, w.logFile = filepath.Join(folder, "inner.yaml"), filepath.Join(folder, "inner.log")
	w.writeConfiguration(t)
	t.Cleanup(func() { w.explain(t) })
	return w
}

func (w *fixture) writeConfiguration(t *testing.T) {
	t.Helper()
	require.NoError(t, os.WriteFile(w.configFile, []byte(w.configuration(os.Getenv("INNER_TEST_KUBECONFIG"))), 0o600))
}

func (w *fixture) configuration(kubeconfig string) string {
	// The audit deletes objects without a row: on a TiKV cluster that tests share, each test is a platform.
	return fmt.Sprintf(`
domain: e2e.test
platform: %s
debug: true
http: {listen: "127.0.0.1:0", drainTime: 0s}
database: {dsn: %q, connectTimeout: 2s, statementTimeout: 5s}
kubernetes: {kubeconfig: %q, namespaces: {worker: %s, ingress: %s}}
tasks: {heartbeatInterval: 500ms, takeoverAfter: 3s, pollInterval: 200ms}
controller: {failureGrace: 1s}
`, w.namespaces.Worker, w.proxy.DSN, kubeconfig, w.namespaces.Worker, w.namespaces.Ingress)
}

// platformMark is the platform's mark in shared engines.
func (w *fixture) platformMark() string {
	return (&config.Config{Platform: w.namespaces.Worker}).PlatformMark()
}

// acceptedTasks counts tasks, those of periodic jobs left out.
const acceptedTasks = `SELECT count(*) FROM console_tasks WHERE id NOT IN (SELECT task_id FROM inner_ticks)`

// worker is a row of workers and its newest version.
type worker struct {
	id, owner string
	row       int
	version   int
}

// user inserts a user.
func (w *fixture) user(t *testing.T, uid, secretKey string) {
	t.Helper()
	_, err := w.db.ExecContext(t.Context(), `INSERT INTO users (uid, email, password_hash, secret_key) VALUES ($1, $2, 'x', $3)`,
		uid, uid+"@example.com", secretKey)
	require.NoError(t, err)
}

// worker inserts a worker of a user and its first version.
func (w *fixture) worker(t *testing.T, owner, id, image string, columns ...string) worker {
	t.Helper()
	created := worker{id: id, owner: owner}
	require.NoError(t,
		w.db.QueryRowContext(t.Context(), `INSERT INTO workers (wid, user_uid, worker_name, assigned_cpu, assigned_memory,
		assigned_disk, max_replicas, main_region) VALUES ($1, $2, 'a worker', '', '', '', 0, '') RETURNING id`, id, owner).Scan(&created.row))
	for i := 0; i+1 < len(columns); i += 2 {
		_, err := w.db.ExecContext(t.Context(), `UPDATE workers SET `+columns[i]+` = $1 WHERE id = $2`, columns[i+1], created.row)
		require.NoError(t, err)
	}
	return w.newVersion(t, created, image)
}

// newVersion inserts a further version of a worker.
func (w *fixture) newVersion(t *testing.T, of worker, image string) worker {
	t.Helper()
	require.NoError(t, w.db.QueryRowContext(t.Context(), `INSERT INTO worker_deploy_versions (worker_id, image, port, status)
		VALUES ($1, $2, 8080, 'loading') RETURNING id`, of.row, image).Scan(&of.version))
	return of
}

// deployTask is the body of a deploy's request.
func (k worker) deployTask() string {
	return fmt.Sprintf(`{"task_type":"worker.deploy_worker","task_info":{"worker_id":%q,"user_uid":%q,"version_id":%d}}`,
		k.id, k.owner, k.version)
}

func (k worker) name() string { return workerapp.Name(k.id, k.owner) }

// state is the statuses of a worker and its version in the rows.
type state struct {
	worker, version, message string
	active                   sql.NullInt64
}

func (w *fixture) state(t *testing.T, k worker) (s state) {
	t.Helper()
	require.NoError(t, w.db.QueryRowContext(t.Context(), `SELECT w.status, w.active_version_id, v.status, v.msg
		FROM workers w JOIN worker_deploy_versions v ON v.worker_id = w.id WHERE v.id = $1`, k.version).
		Scan(&s.worker, &s.active, &s.version, &s.message))
	return s
}

// awaitState waits until the rows of a worker and its version have these statuses.
func (w *fixture) awaitState(t *testing.T, k worker, worker, version string) state {
	t.Helper()
	var s state
	require.Eventually(t, func() bool {
		s = w.state(t, k)
		return s.worker == worker && s.version == version
	}, timeout, 50*time.Millisecond, "%s does not become %s/%s", k.id, worker, version)
	return s
}

// count runs a query that counts.
func (w *fixture) count(t *testing.T, query string) (n int) {
	t.Helper()
	require.NoError(t, w.db.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}
