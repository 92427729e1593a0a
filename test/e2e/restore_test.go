package e2e_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/test/testdatabase"
)

// backup is a copy of a fixture's database, like a dump: it can replace the database once.
type backup struct {
	w          *fixture
	admin      *sql.DB
	name, copy string
}

// backUp copies the database while nobody is connected to it. What runs meanwhile finds it away for a moment.
func (w *fixture) backUp(t *testing.T) *backup {
	t.Helper()
	u, err := url.Parse(w.proxy.DSN)
	require.NoError(t, err)
	admin, err := database.Open(testdatabase.Config(t, os.Getenv("INNER_TEST_DSN")))
	require.NoError(t, err)
	b := &backup{w: w, admin: admin, name: strings.TrimPrefix(u.Path, "/")}
	b.copy = b.name + "_copy"
	t.Cleanup(func() { _ = admin.Close() })
	b.alone(t, `CREATE DATABASE `+b.copy+` TEMPLATE `+b.name)
	return b
}

// restore puts the copy in the database's place, under whatever runs.
func (b *backup) restore(t *testing.T) {
	t.Helper()
	b.alone(t, `DROP DATABASE `+b.name, `ALTER DATABASE `+b.copy+` RENAME TO `+b.name)
}

// alone carries out statements while nobody is connected to the database.
func (b *backup) alone(t *testing.T, statements ...string) {
	t.Helper()
	b.w.proxy.Cut()
	defer b.w.proxy.Restore()
	for _, statement := range statements {
		require.Eventually(t, func() bool {
			_, err := b.admin.ExecContext(t.Context(),
				`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '`+b.name+`'`)
			require.NoError(t, err)
			_, err = b.admin.ExecContext(t.Context(), statement)
			return err == nil
		}, timeout, 50*time.Millisecond, "%s", statement)
	}
}

// setEnv writes a worker's environment and has it applied.
func (w *fixture) setEnv(t *testing.T, i *inner, k worker, env string) (task int64) {
	t.Helper()
	_, err := w.db.ExecContext(t.Context(), `UPDATE workers SET env_json = $1 WHERE id = $2`, env, k.row)
	require.NoError(t, err)
	return i.accept(t,
		fmt.Sprintf(`{"task_type":"worker.sync_env","task_info":{"worker_id":%q,"user_uid":%q,"data":{}}}`, k.id, k.owner))
}

// setSecret writes the names of a worker's secrets and has the value of one applied.
func (w *fixture) setSecret(t *testing.T, i *inner, k worker, names, name, value string) (task int64) {
	t.Helper()
	_, err := w.db.ExecContext(t.Context(), `UPDATE workers SET secrets_json = $1 WHERE id = $2`, names, k.row)
	require.NoError(t, err)
	return i.accept(t, fmt.Sprintf(`{"task_type":"worker.sync_secret","task_info":{"worker_id":%q,"user_uid":%q,"data":{%q:%q}}}`,
		k.id, k.owner, name, value))
}

// userSecret returns the value of a user's key in a worker's Secret, "" where it has none.
func (w *fixture) userSecret(t *testing.T, k worker, key string) string {
	t.Helper()
	name := workerapp.SecretName(k.name())
	list, err := w.clients.Typed.CoreV1().Secrets(w.namespaces.Worker).List(t.Context(),
		metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	require.NoError(t, err)
	if len(list.Items) == 0 {
		return ""
	}
	return string(list.Items[0].Data[key])
}

// awaitServed waits until a worker's WorkerApp runs this image of this version.
func (w *fixture) awaitServed(t *testing.T, k worker, image string) {
	t.Helper()
	require.Eventually(t, func() bool {
		app := w.app(t, k)
		return app.Spec.Image == image && app.Status.Phase == workerapp.Running && app.Status.Version == int64(k.version) &&
			app.Status.Task == workerapp.Task(app.Annotations) && app.Status.ObservedGeneration == app.Generation
	}, timeout, 50*time.Millisecond, "%s does not serve %s: %v", k.id, image, w.app(t, k).Annotations)
}

func TestRowsTakePrecedenceAfterRestore(t *testing.T) {
	t.Parallel()
	for name, declared := range map[string]bool{"that nobody declared": false, "that was declared": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testRestore(t, declared)
		})
	}
}

func testRestore(t *testing.T, declared bool) {
	w := newFixture(t)
	w.configure(t, "audit: {mode: delete, minAge: 1s}\n")
	i := w.startAudited(t)
	w.user(t, "u1", "sk_e2e")
	workers := w.deployed(t, i, "deploys", "env", "secret", "idle", "unfinished")
	deploys, env, secret, idle, unfinished := workers[0], workers[1], workers[2], workers[3], workers[4]
	unfinished = w.newVersion(t, unfinished, "registry.test/app:2")
	_, err := w.db.ExecContext(t.Context(), `UPDATE workers SET status = 'loading' WHERE wid = 'unfinished'`)
	require.NoError(t, err)
	b := w.backUp(t)
	i.awaitReady(t)

	// The cluster goes on, beyond what the copy knows.
	ahead := []worker{w.newVersion(t, deploys, "registry.test/app:ahead"), w.newVersion(t, idle, "registry.test/app:ahead")}
	i.awaitTask(t, w, w.setSecret(t, i, secret, `["A"]`, "A", "ahead"), "finished")
	for range 3 {
		i.awaitTask(t, w, w.setEnv(t, i, env, `{"A":"ahead"}`), "finished")
	}
	for _, k := range append(ahead, unfinished) {
		i.accept(t, k.deployTask())
		w.awaitState(t, k, "active", "success")
	}
	created := w.deployed(t, i, "created")[0]
	b.restore(t)
	i.awaitReady(t)
	if declared {
		require.Contains(t, w.run(t, "migrate", "--restored"), "new id")
	}

	w.rowsWin(t, i, deploys, unfinished, env, secret)
	require.Zero(t, w.count(t, `SELECT count(*) FROM console_tasks WHERE task_status = 'superseded'`))

	// What no task is about follows with the next audit, and what the rows do not know is left alone.
	w.audit(t, i)
	w.awaitServed(t, idle, "registry.test/app:1")
	require.Equal(t, "registry.test/app:1", w.app(t, created).Spec.Image)
	noticed := strings.Count(w.log(t), "the database was restored")
	if declared {
		require.Zero(t, noticed)
		return
	}
	require.Equal(t, 1, noticed, "it is reported once")
}

// rowsWin checks that what is asked for after a restore is done as the rows say.
func (w *fixture) rowsWin(t *testing.T, i *inner, deploys, unfinished, env, secret worker) {
	t.Helper()
	secretTask := w.setSecret(t, i, secret, `["A","B"]`, "B", "rows")
	i.awaitTask(t, w, secretTask, "finished")
	require.Equal(t, "rows", w.userSecret(t, secret, "B"))
	i.awaitTask(t, w, w.setEnv(t, i, env, `{"A":"rows"}`), "finished")
	require.Equal(t, map[string]string{"A": "rows"}, w.env(t, env))
	next := w.newVersion(t, deploys, "registry.test/app:rows")
	i.awaitTask(t, w, i.accept(t, next.deployTask()), "finished")
	w.awaitState(t, next, "active", "success")
	w.awaitServed(t, next, "registry.test/app:rows")
	i.awaitTask(t, w, i.accept(t, unfinished.deployTask()), "finished")
	w.awaitState(t, unfinished, "active", "success")
	w.awaitServed(t, unfinished, "registry.test/app:2")
	for _, k := range []worker{env, secret} {
		w.awaitState(t, k, "active", "success")
	}
}
