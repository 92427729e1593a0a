package chaos_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/chaos/faults"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/stack/postgres"
	"app238.com/inner/test/testdatabase"
)

const (
	// timeout is how long a test waits for an expected event on a busy machine.
	timeout = time.Minute
	// pollInterval is the time between two polls of a condition.
	pollInterval = 20 * time.Millisecond

	// takeoverAfter is the heartbeat age after which tasks are taken over.
	takeoverAfter = 3 * time.Second
	// shutdownTimeout is how long running jobs may take to end at SIGTERM.
	shutdownTimeout = 8 * time.Second
)

// long tells whether the tests run for as long as the product's bars require.
func long() bool { return os.Getenv("INNER_CHAOS") == "long" }

// fixture is a database server and the replicas on it.
type fixture struct {
	server *postgres.Server
	// address leads to the server, also after a failover.
	address *proxy.Proxy
	db      *sql.DB
	dsn     string // what the replicas are given
	folder  string
	seed    uint64
	// workers is the number of each replica's, and maxTakeovers how often a task may lose its process.
	workers, maxTakeovers int
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	server, err := postgres.Start(ctx, postgres.Options{})
	require.NoError(t, err)
	w := &fixture{server: server, folder: t.TempDir(), seed: faults.Seed(t), workers: 4, maxTakeovers: 10}
	t.Cleanup(func() { require.NoError(t, w.server.Close()) })
	require.NoError(t, server.CreateDatabase(ctx, "platform"))
	w.address = proxy.New(t, server.DSN("platform"))
	w.dsn = w.address.DSN
	db, err := database.Open(testdatabase.Config(t, w.dsn))
	require.NoError(t, err)
	w.db = db
	t.Cleanup(func() { _ = db.Close() })
	require.NoError(t, database.Migrate(ctx, db))
	return w
}

// configuration is the replicas'. Its durations are shorter than in production, in the same proportions.
func (w *fixture) configuration() string {
	return fmt.Sprintf(`
http: {listen: "127.0.0.1:0", shutdownTimeout: 2s}
database: {dsn: %q, connectTimeout: 2s, statementTimeout: 5s}
tasks: {workers: %d, buffer: 32, pollInterval: 200ms, heartbeatInterval: 500ms, takeoverAfter: %s, shutdownTimeout: %s,
  maxTakeovers: %d, attempts: 100, retryDelay: 20ms, retryDelayMax: 200ms, parkedRecheck: 2s}
cron: {checkInterval: 200ms}
`, w.dsn, w.workers, takeoverAfter, shutdownTimeout, w.maxTakeovers)
}

// file returns the path of a replica's file.
func (w *fixture) file(replica, kind string) string { return filepath.Join(w.folder, replica+"."+kind) }

// row is a row of console_tasks.
type row struct {
	id                 int64
	idempotencyKey     string
	info, status, last string
	claims, attempts   int
	finished           time.Time
}

// rows returns all tasks by their ids.
func (w *fixture) rows(t *testing.T) map[int64]row {
	t.Helper()
	found, err := w.db.QueryContext(t.Context(), `SELECT id, COALESCE(idempotency_key, ''), task_info, task_status, last_error,
		claim_number, attempts, COALESCE(finished_at, TIMESTAMP 'epoch') FROM console_tasks`)
	require.NoError(t, err)
	defer func() { require.NoError(t, found.Close()) }()
	rows := map[int64]row{}
	for found.Next() {
		var r row
		require.NoError(t, found.Scan(&r.id, &r.idempotencyKey, &r.info, &r.status, &r.last, &r.claims, &r.attempts, &r.finished))
		rows[r.id] = r
	}
	require.NoError(t, found.Err())
	return rows
}

// count runs a query that counts.
func (w *fixture) count(t *testing.T, query string) (n int) {
	t.Helper()
	require.NoError(t, w.db.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}

const unfinished = `SELECT count(*) FROM console_tasks WHERE task_status <> 'finished'`

// awaitFinished waits until every task is finished.
func (w *fixture) awaitFinished(t *testing.T, limit time.Duration) {
	t.Helper()
	w.await(t, limit, "every task is finished", func() bool { return w.count(t, unfinished) == 0 })
}

// await waits for a condition.
func (w *fixture) await(t *testing.T, limit time.Duration, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("after %s not yet: %s\n%s", limit, what, w.stuck(t))
		case <-ticker.C:
		}
	}
}

// stuck describes some of the tasks that are not finished.
func (w *fixture) stuck(t *testing.T) (text string) {
	t.Helper()
	shown := 0
	for _, r := range w.rows(t) {
		if r.status != "finished" && shown < 10 {
			shown++
			text += fmt.Sprintf("task %d is %s, %d claims, %d attempts, %s\n", r.id, r.status, r.claims, r.attempts, r.info)
		}
	}
	return text
}
