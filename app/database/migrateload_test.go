package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/testdatabase"
)

// longest is how long a test waits for an expected event.
const longest = 2 * time.Minute

// older drops an index and some columns, as of an earlier release, so that a migration has steps.
func older(t *testing.T, db *testdatabase.Database) {
	t.Helper()
	for _, statement := range []string{
		`ALTER TABLE console_tasks DROP COLUMN trace_parent`, `ALTER TABLE console_tasks DROP COLUMN takeovers`,
		`DROP INDEX console_tasks_waiting`, `CREATE INDEX console_tasks_pending ON console_tasks (id)`,
	} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
}

// transaction begins a transaction and runs a statement; the returned function ends it.
func transaction(t *testing.T, db *sql.DB, level sql.IsolationLevel, statement string) (end func()) {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: level})
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), `SET idle_in_transaction_session_timeout = 0; `+statement)
	require.NoError(t, err)
	end = sync.OnceFunc(func() { _ = tx.Rollback() })
	t.Cleanup(end)
	return end
}

// holds waits until a condition, asked of the server, is true.
func holds(t *testing.T, db *sql.DB, condition string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var held bool
		require.NoError(t, db.QueryRowContext(t.Context(), `SELECT `+condition).Scan(&held))
		return held
	}, longest, 20*time.Millisecond, condition)
}

func TestMigrateOfCurrentDatabaseTakesNoLock(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	// Whoever asked for any lock of it would wait.
	plain, err := database.Open(db.Config) // CockroachDB's parser does not know the statement
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plain.Close()) })
	transaction(t, plain, sql.LevelDefault, `LOCK TABLE console_tasks IN ACCESS EXCLUSIVE MODE`)
	pool, r := record(t, db)
	steps, err := database.Migration{DB: pool, Progress: func(text string) { t.Error(text) }}.Run(t.Context())
	require.NoError(t, err)
	require.Zero(t, steps)
	for _, statement := range r.sent {
		require.Regexp(t, `^\s*SELECT`, statement)
	}
}

func TestMigrateRunsStatementsOutsideTransactions(t *testing.T) {
	t.Parallel()
	pool, r := record(t, testdatabase.NewEmpty(t))
	steps, err := database.Migration{DB: pool}.Run(t.Context())
	require.NoError(t, err)
	require.Positive(t, steps)
	for _, statement := range r.sent {
		require.NotRegexp(t, `(?i)^\s*(BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT)`, statement)
		if strings.Contains(statement, "IF NOT EXISTS") && !strings.HasPrefix(statement, "CREATE TABLE ") {
			require.NotContains(t, statement, ";")
		}
	}
}

// writeTasks inserts tasks as an accept does until ctx ends, and returns how many. The statement_timeout is far longer than a
// migration's lock_timeout, and far shorter than the program's.
func writeTasks(ctx context.Context, db *sql.DB) (written int, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, `SET statement_timeout = '10s'`); err != nil {
		return 0, err
	}
	for ctx.Err() == nil {
		// Not under ctx, whose end would look like a failure.
		if _, err := conn.ExecContext(context.WithoutCancel(ctx),
			`INSERT INTO console_tasks (task_type, ordering_key) VALUES ('load', 'task/' || gen_random_uuid()::TEXT)`); err != nil {
			return written, err
		}
		written++
	}
	return written, nil
}

func TestAcceptsContinueDuringMigrations(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	older(t, db)
	endReader := transaction(t, db.DB, sql.LevelRepeatableRead, `SELECT count(*) FROM console_tasks`)
	load, stop := context.WithCancel(t.Context())
	var writers, migrations sync.WaitGroup
	errs := make([]error, 7)
	failed := make(chan error, len(errs))
	for i := range 4 {
		writers.Go(func() {
			var written int
			if written, errs[i] = writeTasks(load, db.DB); written == 0 && errs[i] == nil {
				errs[i] = errors.New("nothing was written")
			}
			if errs[i] != nil {
				failed <- errs[i]
			}
		})
	}
	progress := make(chan string, 1000)
	for i := range 3 {
		migrations.Go(func() {
			_, errs[4+i] = database.Migration{DB: db.DB, Progress: func(text string) { progress <- text }}.Run(t.Context())
		})
	}
	attempt := regexp.MustCompile(`^waiting for a lock on console_tasks, attempt 3, held by process \d+ \(inner-gateway\)`)
	timeout := time.After(longest)
	for seen := false; !seen; {
		select {
		case text := <-progress:
			seen = attempt.MatchString(text)
		case err := <-failed:
			require.NoError(t, err, "an accept waits longer than for one lock")
		case <-timeout:
			require.Fail(t, "no migration waits")
		}
	}
	endReader()
	migrations.Wait()
	stop()
	writers.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	steps, err := database.Migration{DB: db.DB}.Run(t.Context())
	require.NoError(t, err)
	require.Zero(t, steps)
}

// plain returns a pool for the test's own statements, which need not work on CockroachDB.
func plain(t *testing.T, db *testdatabase.Database) *sql.DB {
	t.Helper()
	testdatabase.PostgreSQLOnly(t, "pg_stat_activity tells what waits")
	pool, err := database.Open(db.Config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

// builder finds the backend that builds an index in this database.
const builder = `EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'CREATE INDEX CONCURRENTLY%'`

const unfinished = `EXISTS (SELECT 1 FROM pg_index WHERE indrelid = 'console_tasks'::regclass AND NOT indisvalid)`

func TestMigrationStepHasNoStatementTimeout(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	_, err := db.ExecContext(t.Context(), `DROP INDEX console_tasks_waiting`)
	require.NoError(t, err)
	// Whoever builds an index waits for it, concurrently or not.
	endWriter := transaction(t, db.DB, sql.LevelDefault, `INSERT INTO console_tasks (task_type, ordering_key) VALUES ('open', 'k')`)
	db.Config.Database.StatementTimeout = time.Second
	pool, err := database.Open(db.Config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	done := make(chan error, 1)
	go func() { done <- database.Migrate(t.Context(), pool) }()
	// A connection of the pool is given up five seconds after the time limit of a statement.
	holds(t, plain(t, db), `EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
		AND pid <> pg_backend_pid() AND clock_timestamp() - query_start > INTERVAL '7 seconds')`)
	endWriter()
	require.NoError(t, <-done)
}

func TestInterruptedIndexIsRebuilt(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(t *testing.T, db *testdatabase.Database, p *proxy.Proxy, cancel func()){
		"cancelled": func(_ *testing.T, _ *testdatabase.Database, _ *proxy.Proxy, cancel func()) { cancel() },
		"cut off":   func(_ *testing.T, _ *testdatabase.Database, p *proxy.Proxy, _ func()) { p.Cut() },
		"terminated": func(t *testing.T, db *testdatabase.Database, _ *proxy.Proxy, _ func()) {
			_, err := db.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%'`)
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdatabase.New(t)
			older(t, db)
			endReader := transaction(t, db.DB, sql.LevelRepeatableRead, `SELECT count(*) FROM users`)
			p := proxy.New(t, db.Config.Database.DSN.Reveal())
			pool, err := database.Open(testdatabase.Config(t, p.DSN))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, pool.Close()) })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- database.Migrate(ctx, pool) }()
			holds(t, plain(t, db), builder+` AND wait_event_type = 'Lock')`)
			interrupt(t, db, p, cancel)
			require.Error(t, <-done)
			holds(t, plain(t, db), `NOT `+builder+`)`) // though what it waits for is there still
			holds(t, db.DB, unfinished)
			endReader()
			require.NoError(t, database.Migrate(t.Context(), db.DB))
			holds(t, db.DB, `NOT `+unfinished)
			holds(t, db.DB, `to_regclass('console_tasks_waiting') IS NOT NULL AND to_regclass('console_tasks_pending') IS NULL`)
		})
	}
}

func TestMigrationLockTimeoutNamesTable(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	older(t, db)
	transaction(t, db.DB, sql.LevelDefault, `SELECT count(*) FROM console_tasks`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var progress []string
	_, err := database.Migration{DB: db.DB, Progress: func(text string) {
		if progress = append(progress, text); strings.HasPrefix(text, "waiting") {
			cancel()
		}
	}}.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "add columns to table console_tasks: takeovers, trace_parent", progress[0])
	require.Contains(t, fmt.Sprint(progress), "waiting for a lock on console_tasks, attempt 2, held by process ")
}
