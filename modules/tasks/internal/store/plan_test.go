package store

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/testdatabase"
)

// TestPlansUseIndexesOnABigTable looks at every statement whose cost must not grow with the tasks that ended, and at
// plans made before the table was filled and analyzed, which a freshly installed platform has.
func TestPlansUseIndexesOnABigTable(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	_, err := db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, task_status, ordering_key, finished_at)
		SELECT 'x', 'finished', 'k' || i, LOCALTIMESTAMP FROM generate_series(1, 100000) AS i`)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, ordering_key)
		SELECT 'x', 'k' || i FROM generate_series(1, 10000) AS i`)
	require.NoError(t, err)
	// EXPLAIN is not a statement of Inner's: a pool without CockroachDB's parser.
	plain, err := database.Open(db.Config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = plain.Close() })
	text, ids := database.Array([]string{"a", "b"}), database.Array([]int64{1, 2})
	for name, s := range map[string]struct {
		query string
		args  []any
	}{
		"insert": {insertTasks, []any{"p", text, text, text, text, text, database.Array([]bool{true, true})}},
		"claim":  {claimOfLane, []any{"p", "default", 256}},
		"one":    {claimByID, []any{"p", 7, 1}},
		"end":    {endTasks, []any{ids, text, ids, text, text, text, ids, text}},
		"again":  {againTask, []any{1, "p", 1, "d", "e", 1, "n", 1.5}},
		"park":   {parkTask, []any{1, "p", 1, "d", 1.5}},
		"wake":   {wakeParked, []any{"k1"}},
		"mark":   {wakeRunning, []any{"k1"}},
		"late":   {wakeLate, nil},
		"revive": {recoverTasks, []any{15.0}},
		"return": {returnTasks, []any{"p", ids}},
		"newest": {newestPending, []any{"k1", "x", 1}},
		"ended":  {endParked, []any{"k1", 7, "superseded", "t"}},
		"keys":   {unfinishedKeys, []any{text}},
		"expire": {deleteOld, []any{1, 500, 1.0, 1.0}},
	} {
		for _, statistics := range []string{`SELECT 1`, `ANALYZE console_tasks`} {
			_, err := plain.ExecContext(t.Context(), statistics)
			require.NoError(t, err)
			plan := explain(t, plain, s.query, s.args)
			require.NotContains(t, plan, "Seq Scan on console_tasks", "%s after %s", name, statistics)
			if name == "claim" {
				require.Contains(t, plan, "Index Scan using console_tasks_pending on console_tasks t", statistics)
				require.NotContains(t, plan, "Sort", "the whole backlog is looked at for each claim, after %s", statistics)
			}
		}
	}
}

func explain(t *testing.T, db *sql.DB, query string, args []any) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `EXPLAIN `+query, args...)
	require.NoError(t, err, query)
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
