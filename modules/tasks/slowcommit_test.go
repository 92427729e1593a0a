package tasks_test

import (
	"context"
	"database/sql"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

// hold runs a statement in a transaction that stays open, as a stopped process may leave it.
func (b *fixture) hold(t *testing.T, query string, args ...any) *sql.Tx {
	t.Helper()
	tx, err := b.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), query, args...)
	require.NoError(t, err)
	return tx
}

// awaitLocked waits until one such statement waits for a lock.
func (b *fixture) awaitLocked(t *testing.T, like string) {
	t.Helper()
	rawDB := b.rawDB(t)
	require.Eventually(t, func() bool {
		var waiting int
		require.NoError(t, rawDB.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock' AND query LIKE $1`, like).Scan(&waiting))
		return waiting == 1
	}, timeout, 5*time.Millisecond)
}

func TestCommitThatWaitsForALockHoldsUpNoOthers(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "who waits for a lock is read from PostgreSQL's statistics")
	b := setup(t)
	b.start(t)
	tx := b.hold(t, `INSERT INTO console_tasks (task_type, task_info, ordering_key, idempotency_key)
		VALUES ('test.echo', '{}', 'held', 'once')`)
	answered := make(chan int, 1)
	go func() {
		answered <- b.request(http.MethodPost, "/api/acceptTask",
			`{"task_type":"test.echo","task_info":{"key":"same","text":"blocked"}}`, "Idempotency-Key", "once").Code
	}()
	b.awaitLocked(t, "%INSERT INTO console_tasks%")
	for _, key := range []string{"other", "another", "same"} {
		w := b.request(http.MethodPost, "/api/acceptTask", `{"task_type":"test.echo","task_info":{"key":"`+key+`","text":"`+key+`"}}`)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
	}
	b.awaitLocked(t, "%INSERT INTO console_tasks%")
	require.Eventually(t, func() bool { return b.count(t, `task_status = 'finished'`) == 3 }, 30*time.Second, 10*time.Millisecond)
	require.Empty(t, answered)
	require.NoError(t, tx.Rollback())
	require.Equal(t, http.StatusOK, <-answered)
	require.Eventually(t, func() bool { return b.count(t, `task_status = 'finished'`) == 4 }, 30*time.Second, 10*time.Millisecond)
}

func TestResultThatWaitsForALockHoldsUpNoOthers(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "who waits for a lock is read from PostgreSQL's statistics")
	b := setup(t)
	gate := make(chan struct{})
	b.job.execute = func(ctx context.Context, task job.Task, n echo) error {
		if n.Text == "blocked" {
			return waiting(gate)(ctx, task, n)
		}
		return nil
	}
	b.start(t)
	blocked := b.accept(t, "a", "blocked")
	b.awaitStatus(t, blocked, store.Processing)
	tx := b.hold(t, `SELECT id FROM console_tasks WHERE id = $1 FOR UPDATE`, blocked)
	close(gate)
	b.awaitLocked(t, "%UPDATE console_tasks%'finished'%")
	for _, key := range []string{"b", "c"} {
		b.awaitStatus(t, b.accept(t, key, key), store.Finished)
	}
	b.awaitLocked(t, "%UPDATE console_tasks%'finished'%")
	require.NoError(t, tx.Rollback())
	b.awaitStatus(t, blocked, store.Finished)
}
