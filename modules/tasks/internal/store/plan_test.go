package store

import (
	"database/sql"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/testdatabase"
)

// TestStatementsUseIndexes explains every statement whose cost must not grow with the number of ended tasks, also with
// plans made before the table was filled and analyzed, as on a new installation.
func TestStatementsUseIndexes(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "plans, and the settings by which they are made, are PostgreSQL's")
	db := testdatabase.New(t)
	_, err := db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, task_status, ordering_key, finished_at)
		SELECT 'x', 'finished', 'k' || i, LOCALTIMESTAMP FROM generate_series(1, 100000) AS i`)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, ordering_key)
		SELECT 'x', 'k' || i FROM generate_series(1, 10000) AS i`)
	require.NoError(t, err)
	// EXPLAIN is not a statement of Inner: a connection without CockroachDB's parser.
	rawDB, err := database.Open(db.Config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = rawDB.Close() })
	text, ids := database.Array([]string{"a", "b"}), database.Array([]int64{1, 2})
	for name, s := range map[string]struct {
		query string
		args  []any
	}{
		"insert":     {insertTasks, []any{"p", text, text, text, text, text, database.Array([]bool{true, true})}},
		"claim":      {claimByID, []any{"p", ids, 2}},
		"requeue":    {requeueTask, []any{1, "p", 1, "d", "e", 1, "n", 1.5}},
		"park":       {parkTask, []any{1, "p", 1, "d", 1.5}},
		"resume":     {resumeParked, []any{"k1"}},
		"mark":       {resumeRunning, []any{"k1"}},
		"late":       {resumeDue, nil},
		"recover":    {recoverTasks, []any{"p", 1.0, 300.0}},
		"poll":       {poll, []any{text, ids, text, true}},
		"reschedule": {reschedulePending, []any{1.5}},
		"parked":     {rescheduleParked, []any{1.5}},
		"return":     {returnAllExcept, []any{"p", ids, ids}},
		"newest":     {newestPending, []any{"k1", "x", 1}},
		"cancel":     {cancelParked, []any{"k1", 7, "superseded", "t"}},
		"keys":       {activeKeys, []any{text}},
		"page":       {retentionPage, []any{1, 1.0, 500}},
		"expire":     {deleteExpired, []any{1, 500, 1.0, 1.0}},
	} {
		for _, statistics := range []string{`SELECT 1`, `ANALYZE console_tasks`} {
			_, err := rawDB.ExecContext(t.Context(), statistics)
			require.NoError(t, err)
			plan := explain(t, rawDB, s.query, s.args)
			require.NotContains(t, plan, "Seq Scan on console_tasks", "%s after %s", name, statistics)
		}
	}
}

// TestPreparedPlansUseIndexes explains the plans that are made once and kept: on an empty table, on a full one with the
// statistics of an empty one, and on an analyzed one.
func TestPreparedPlansUseIndexes(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "plans, and the settings by which they are made, are PostgreSQL's")
	db := testdatabase.New(t)
	connector, err := database.Connector(db.Config)
	require.NoError(t, err)
	prepared := sql.OpenDB(database.PreparedConnector{Connector: connector})
	t.Cleanup(func() { _ = prepared.Close() })
	const fill = `INSERT INTO console_tasks (task_type, task_status, ordering_key) SELECT 'x', $2, 'k' || i FROM generate_series(1, $1::INT) AS i`
	for _, step := range []func() error{
		func() error { return nil },
		func() error { _, err := db.ExecContext(t.Context(), fill, 100_000, "finished"); return err },
		func() error { _, err := db.ExecContext(t.Context(), fill, 50_000, "pending"); return err },
		func() error { _, err := db.ExecContext(t.Context(), `ANALYZE console_tasks`); return err },
	} {
		require.NoError(t, step())
		byKey := []string{"console_tasks_pending_key on console_tasks e"}
		for query, indexes := range map[string][]string{
			insertTasks:    append(byKey, "console_tasks_one_per_key on console_tasks e"),
			insertExtended: append(byKey, "console_tasks_one_per_key on console_tasks e"),
			claimOfLane: append(byKey, "console_tasks_ready on console_tasks t", "console_tasks_one_per_key on console_tasks e",
				"console_tasks_pkey on console_tasks c"),
			claimRequeued: append(byKey, "console_tasks_requeued on console_tasks t", "console_tasks_one_per_key on console_tasks e",
				"console_tasks_pkey on console_tasks c"),
			claimNext: append(byKey, "console_tasks_pkey on console_tasks t", "console_tasks_one_per_key on console_tasks e",
				"console_tasks_pkey on console_tasks c"),
			claimByID: append(byKey, "console_tasks_pkey on console_tasks t", "console_tasks_one_per_key on console_tasks e",
				"console_tasks_pkey on console_tasks c"),
			completeTasks:   {byKey[0], byKey[0] + "_1", "console_tasks_pkey on console_tasks c"},
			finishTasks:     {byKey[0], byKey[0] + "_1", "console_tasks_pkey on console_tasks c"},
			returnAllExcept: {"console_tasks_one_per_key on console_tasks c"},
			poll: {"console_tasks_ready on console_tasks t", "console_tasks_returned on console_tasks a",
				"console_tasks_requeued on console_tasks r",
				"console_tasks_waiting on console_tasks", "console_tasks_one_per_key on console_tasks",
				"inner_processes_pkey on inner_processes",
				"inner_processes_pkey on inner_processes"},
		} {
			plan := strings.ReplaceAll(explainKept(t, prepared, query), "Scan Backward using", "Scan using")
			for _, index := range indexes {
				require.Contains(t, plan, "Scan using "+index)
			}
			require.Equal(t, len(indexes), strings.Count(plan, "Scan using ")+strings.Count(plan, "Seq Scan"), plan)
			require.NotContains(t, strings.ReplaceAll(plan, "Sort Key: n.ordinal", ""), "Sort Key", plan)
			switch query {
			case claimOfLane:
				require.Contains(t, plan, "Index Cond: ((ROW(lane, id) >= ROW($2, $4))", "it starts at the given id")
			case poll:
				require.Contains(t, plan, "Index Cond: ((ROW(lane, id) >= ROW(l.lane, l.lowest))", "it starts at the given id")
			}
		}
	}
}

// TestRetentionReadsOnePageWithoutExpiredTasks counts the rows that are read.
func TestRetentionReadsOnePageWithoutExpiredTasks(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "what EXPLAIN tells is PostgreSQL's")
	db := testdatabase.New(t)
	_, err := db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, task_status, ordering_key, finished_at)
		SELECT 'x', 'finished', 'k' || i, LOCALTIMESTAMP FROM generate_series(1, 20000) AS i`)
	require.NoError(t, err)
	rawDB, err := database.Open(db.Config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = rawDB.Close() })
	rows, err := rawDB.QueryContext(t.Context(), `EXPLAIN (ANALYZE, TIMING OFF) `+retentionPage, 0, 3600.0, 500)
	plan := readPlan(t, rows, err)
	for _, found := range regexp.MustCompile(`(?:\(actual rows=|Rows Removed by Filter: )(\d+)`).FindAllStringSubmatch(plan, -1) {
		n, err := strconv.Atoi(found[1])
		require.NoError(t, err)
		require.LessOrEqual(t, n, 500, plan)
	}
}

// explainKept returns the plan of a prepared statement.
func explainKept(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.ExecContext(t.Context(), `PREPARE kept AS `+query)
	require.NoError(t, err)
	defer func() {
		_, err := conn.ExecContext(t.Context(), `DEALLOCATE kept`)
		require.NoError(t, err)
	}()
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", parameters(query)), ", ")
	rows, err := conn.QueryContext(t.Context(), `EXPLAIN EXECUTE kept(`+nulls+`)`)
	return readPlan(t, rows, err)
}

// parameters counts the parameters of a statement.
func parameters(query string) int {
	n := 0
	for strings.Contains(query, fmt.Sprintf("$%d", n+1)) {
		n++
	}
	return n
}

func explain(t *testing.T, db *sql.DB, query string, args []any) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `EXPLAIN `+query, args...)
	return readPlan(t, rows, err)
}

func readPlan(t *testing.T, rows *sql.Rows, err error) string {
	t.Helper()
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		plan.WriteString(line + "\n")
	}
	require.NoError(t, rows.Err())
	return plan.String()
}
