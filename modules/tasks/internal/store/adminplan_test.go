package store

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/testdatabase"
)

func TestAdminStatementsUseIndexes(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	_, err := db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, task_status, ordering_key)
		SELECT 'x', CASE WHEN i % 100 = 0 THEN 'pending' ELSE 'finished' END, 'k' || i FROM generate_series(1, 50000) AS i`)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `ANALYZE console_tasks`)
	require.NoError(t, err)
	rawDB, err := database.Open(db.Config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = rawDB.Close() })
	const newest = int64(math.MaxInt64)
	for name, s := range map[string]struct {
		query string
		args  []any
		want  string
	}{
		"list":             {listTasks, []any{newest, "", "", "", 51}, "console_tasks_pkey"},
		"list of finished": {listTasks, []any{newest, "finished", "", "", 51}, "console_tasks_pkey"},
		"list of a type":   {listTasks, []any{newest, "", "x", "", 51}, "console_tasks_pkey"},
		"pending of a key": {listTasks, []any{newest, "pending", "", "k100", 51}, "console_tasks_pending_key"},
		"show":             {showTask, []any{7}, "console_tasks_pkey"},
		"retry":            {retryTask, []any{7, "error", "d"}, "console_tasks_pkey"},
		"cancel":           {cancelTask, []any{7, "pending", "d"}, "console_tasks_pkey"},
		"due":              {makeDue, []any{7}, "console_tasks_pkey"},
		"unfinished":       {activeTypes, []any{"k100", 0}, "console_tasks_pending_key"},
		"erase":            {eraseTask, []any{7, "{}"}, "console_tasks_pkey"},
		"backlogs":         {pendingByLane, nil, "console_tasks_ready"},
	} {
		plan := explain(t, rawDB, s.query, s.args)
		require.Contains(t, plan, s.want, name)
		require.NotContains(t, plan, "Seq Scan on console_tasks", name)
	}
}
