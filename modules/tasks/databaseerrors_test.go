package tasks_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"app238.com/inner/app/database"
	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks/internal/httpapi"
	"app238.com/inner/modules/tasks/internal/status"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/testdatabase"
)

// observeLogs returns the log of the fixture's requests.
func (b *fixture) observeLogs() *observer.ObservedLogs {
	core, logs := observer.New(zap.ErrorLevel)
	b.handler = server.NewHandler(b.config.HTTP, zap.New(core), httpapi.New(b.config, b.queue, b.store).Routes())
	return logs
}

// awaitReady waits until the queue is ready.
func (b *fixture) awaitReady(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return b.queue.Ready(t.Context()) == nil }, timeout, 100*time.Millisecond)
}

// awaitUnready waits until the queue is not ready for this reason.
func (b *fixture) awaitUnready(t *testing.T, reason string) {
	t.Helper()
	require.Eventually(t, func() bool {
		err := b.queue.Ready(t.Context())
		return err != nil && strings.Contains(err.Error(), reason)
	}, timeout, 100*time.Millisecond, "%s", reason)
}

// rawDB is a connection for statements of the test that CockroachDB does not need to support.
func (b *fixture) rawDB(t *testing.T) *sql.DB {
	t.Helper()
	testdatabase.PostgreSQLOnly(t, "triggers in PL/pgSQL and setval of an identity")
	db, err := database.Open(b.config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// requireUnavailable requires that an accept is answered with 503, and returns the logged error.
func (b *fixture) requireUnavailable(t *testing.T, logs *observer.ObservedLogs) string {
	t.Helper()
	w := b.request(http.MethodPost, "/api/acceptTask", echoRequest)
	require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	lines := logs.TakeAll()
	require.Len(t, lines, 1)
	return fmt.Sprint(lines[0].ContextMap()["error"])
}

func TestDatabaseErrorIs503WithCauseInLogAndReadiness(t *testing.T) {
	t.Parallel()
	for code, word := range map[string]string{
		"53100": "no disk space", "58030": "SQLSTATE 58030", "XX000": "SQLSTATE XX000", "40003": "SQLSTATE 40003",
		"58C01": "SQLSTATE 58C01",
		"40001": "SQLSTATE 40001", "25006": "takes no writes", "57014": "takes too long", "ZZ999": "SQLSTATE ZZ999",
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			b := setupOn(t, testdatabase.New(t))
			logs := b.observeLogs()
			b.awaitReady(t)
			rawDB := b.rawDB(t)
			_, err := rawDB.ExecContext(t.Context(), `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
				'BEGIN RAISE EXCEPTION ''of the test'' USING ERRCODE = ''`+code+`''; END'`)
			require.NoError(t, err)
			_, err = rawDB.ExecContext(t.Context(),
				`CREATE TRIGGER fail BEFORE INSERT ON console_tasks FOR EACH ROW EXECUTE FUNCTION fail()`)
			require.NoError(t, err)
			cause := b.requireUnavailable(t, logs)
			require.Contains(t, cause, word)
			b.awaitUnready(t, word)
			_, err = rawDB.ExecContext(t.Context(), `DROP TRIGGER fail ON console_tasks`)
			require.NoError(t, err)
			b.awaitReady(t)
			b.accept(t, "k", "afterwards")
		})
	}
}

func TestSequenceBehindRowsIsReported(t *testing.T) {
	t.Parallel()
	b := setup(t)
	logs := b.observeLogs()
	_, err := b.db.ExecContext(t.Context(),
		`INSERT INTO console_tasks (task_type, task_status) SELECT 'x', 'finished' FROM generate_series(1, 200)`)
	require.NoError(t, err)
	const toRows = `SELECT setval(pg_get_serial_sequence('console_tasks', 'id'), max(id)) FROM console_tasks`
	_, err = b.rawDB(t).ExecContext(t.Context(), `SELECT setval(pg_get_serial_sequence('console_tasks', 'id'), 1)`)
	require.NoError(t, err)
	require.Contains(t, b.requireUnavailable(t, logs), toRows)
	b.awaitUnready(t, "the id sequence of console_tasks is behind its rows; run: "+toRows)
	_, err = status.NewQueue(b.store).Probe(t.Context())
	require.ErrorContains(t, err, toRows)
	_, err = b.rawDB(t).ExecContext(t.Context(), toRows)
	require.NoError(t, err)
	b.awaitReady(t)
	b.accept(t, "", "afterwards")
}

func TestClaimWithUncertainCommitRuns(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"40003", "XX000", "58030", "53100", "58C00", "57014"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			p := proxy.New(t, testdatabase.New(t).Config.Database.DSN.Reveal())
			b := setupOn(t, testdatabase.At(t, p.DSN))
			q := b.acceptor(t)
			p.AnswerWithError("INSERT INTO console_tasks", code, 1)
			_, err := q.Accept(t.Context(), "test.echo", echo{Key: "k", Text: "uncertain"})
			require.Error(t, err)
			var id int64
			require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT id FROM console_tasks`).Scan(&id), "it was committed")
			b.awaitStatus(t, id, store.Finished)
		})
	}
}

func TestAcceptWithoutConnectionIs503(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "the server of the tests has no TLS")
	dsn := testdatabase.New(t).Config.Database.DSN.Reveal()
	require.Contains(t, dsn, "sslmode=disable")
	b := setupOn(t, testdatabase.At(t, strings.Replace(dsn, "sslmode=disable", "sslmode=require", 1)))
	logs := b.observeLogs()
	for range 3 {
		require.Contains(t, b.requireUnavailable(t, logs), "offers no TLS")
	}
	require.ErrorContains(t, b.queue.Ready(t.Context()), "offers no TLS")
}

func TestFailedCommitsMakeReplicaUnreadyUntilProbeSucceeds(t *testing.T) {
	t.Parallel()
	p := proxy.New(t, testdatabase.New(t).Config.Database.DSN.Reveal())
	b := setupOn(t, testdatabase.At(t, p.DSN))
	for range 3 {
		p.AnswerWithError("INSERT INTO console_tasks", "58030", 1)
		_, err := b.queue.Accept(t.Context(), "test.echo", echo{Text: "x"})
		require.Error(t, err)
	}
	require.ErrorContains(t, b.queue.Ready(t.Context()), "SQLSTATE 58030", "a probe would succeed")
	b.awaitReady(t)
}

func TestReadinessProbesAreRateLimited(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begin := time.Now()
	for range 200 {
		_ = b.queue.Ready(t.Context()) // a probe may be late on a busy machine
	}
	took := time.Since(begin)
	id := b.accept(t, "", "x")
	require.LessOrEqual(t, id, int64(took/time.Second)+2, "probes use up ids")
	var n int
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM console_tasks`).Scan(&n))
	require.Equal(t, 1, n, "a probe leaves a row")
}
