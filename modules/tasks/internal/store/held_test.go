package store

import (
	"database/sql"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/testdatabase"
)

// TestStatementsReadNoEndedTasksThatCannotBeVacuumed counts the pages that statements read while a transaction is open since
// before thousands of tasks of one key were claimed and ended.
func TestStatementsReadNoEndedTasksThatCannotBeVacuumed(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "what EXPLAIN tells is PostgreSQL's")
	db := testdatabase.New(t)
	rawDB, err := database.Open(db.Config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = rawDB.Close() })
	held, err := rawDB.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = held.Rollback() }()
	_, err = held.ExecContext(t.Context(), `SET idle_in_transaction_session_timeout = 0; SELECT pg_current_xact_id()`)
	require.NoError(t, err)
	const ended = 10_000
	for _, statement := range []string{
		`INSERT INTO console_tasks (task_type, ordering_key) SELECT 'x', 'k' FROM generate_series(1, 10000)`,
		`UPDATE console_tasks SET task_status = 'waiting', claim_number = 1`,
		`UPDATE console_tasks SET task_status = 'finished'`,
		`INSERT INTO console_tasks (task_type, ordering_key, task_status, claim_number, claimed_by) VALUES ('x', 'k', 'processing', 1, 'p')`,
		`INSERT INTO console_tasks (task_type, ordering_key) VALUES ('x', 'k')`,
	} {
		_, err := rawDB.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	poll := func(lowest int64) int {
		return pagesRead(t, rawDB, poll, database.Array([]string{"default"}), database.Array([]int64{lowest}),
			database.Array([]string{"default"}), false)
	}
	require.Greater(t, poll(0), 100, "the entries of ended tasks are still there")
	require.Less(t, poll(ended), 50)
	require.Less(t, pagesRead(t, rawDB, finishTasks, database.Array([]int64{ended + 1}), "p", 1), 50)
}

// pagesRead runs a statement in a transaction that it rolls back, and returns how many pages it read.
func pagesRead(t *testing.T, db *sql.DB, query string, args ...any) int {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(t.Context(), `SET LOCAL jit = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off`)
	require.NoError(t, err)
	rows, err := tx.QueryContext(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) `+query, args...)
	plan := readPlan(t, rows, err)
	found := regexp.MustCompile(`Buffers: shared hit=(\d+)`).FindStringSubmatch(plan)
	require.NotEmpty(t, found, plan)
	n, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return n
}
