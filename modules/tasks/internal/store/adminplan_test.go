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
	list := func(status, jobType, key, state string) []any {
		return []any{int64(math.MaxInt64), status, jobType, key, 51, "", "", firstTime, lastTime, state, 0}
	}
	recent := list("", "", "k100", "")
	recent[10] = 1000
	for name, s := range map[string]struct {
		query string
		args  []any
		want  string
	}{
		"list":             {listTasks, list("", "", "", ""), "console_tasks_pkey"},
		"list of finished": {listTasks, list("finished", "", "", ""), "console_tasks_pkey"},
		"list of a type":   {listTasks, list("", "x", "", ""), "console_tasks_pkey"},
		"list of others":   {listTasks, list("", "", "", "claimed"), "console_tasks_pkey"},
		"running":          {listTasks, list("processing", "", "", "running"), "console_tasks_one_per_key"},
		"pending of a key": {listTasks, list("pending", "", "k100", ""), "console_tasks_pending_key"},
		"recent of a key":  {listTasks, recent, "Index Cond: ((id < '"},
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
