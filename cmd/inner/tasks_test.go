package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/job"
)

func TestTasksAreListedInAlignedColumns(t *testing.T) {
	t.Parallel()
	p := setup(t)
	old := p.insert(t, "worker.deploy_worker", "error", "{}")
	p.insert(t, "x", "pending", "{}")
	out, err := p.run(t, "tasks", "list")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 3)
	require.Equal(t, strings.Index(lines[0], "STATUS"), strings.Index(lines[1], "pending"))
	require.Equal(t, strings.Index(lines[0], "STATUS"), strings.Index(lines[2], "error"))
	require.NotContains(t, out, "\x1b")

	out, err = p.run(t, "tasks", "list", "--type", "DeployWorker", "-o", "json")
	require.NoError(t, err)
	var page job.Page
	require.NoError(t, json.Unmarshal([]byte(out), &page))
	require.Len(t, page.Tasks, 1)
	require.Equal(t, old, page.Tasks[0].ID)

	out, err = p.run(t, "tasks", "list", "--limit", "1")
	require.NoError(t, err)
	require.Contains(t, out, fmt.Sprintf("--before %d", old+1))
	_, err = p.run(t, "tasks", "list", "--status", "done")
	require.ErrorContains(t, err, "status: must be one of pending, processing")
}

func TestIDsBeyondFloatPrecisionAreExact(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for _, id := range []int64{1<<53 + 1, math.MaxInt64} {
		_, err := p.db.ExecContext(t.Context(), `INSERT INTO console_tasks (id, task_type, task_status, task_detailed_status, task_info)
			VALUES ($1, 'x', 'pending', '', $2)`, id, fmt.Sprintf(`{"version_id":%d}`, id))
		require.NoError(t, err)
		digits := fmt.Sprint(id)
		for _, format := range formats {
			out, err := p.run(t, "tasks", "list", "-o", format, "--limit", "1")
			require.NoError(t, err)
			require.Regexp(t, `(?m)(^|[ :])`+digits+`\b`, out)
			out, err = p.run(t, "tasks", "show", digits, "-o", format)
			require.NoError(t, err)
			require.Equal(t, 2, strings.Count(out, digits), "the task and its payload: %s", out)
		}
	}
	out, err := p.run(t, "tasks", "list", "-o", "json", "--limit", "1", "--before", fmt.Sprint(math.MaxInt64))
	require.NoError(t, err)
	var page job.Page
	require.NoError(t, json.Unmarshal([]byte(out), &page))
	require.EqualValues(t, 1<<53+1, page.Tasks[0].ID)
}

func TestTaskIsShownWithoutSecrets(t *testing.T) {
	t.Parallel()
	p := setup(t)
	open, secret := p.insert(t, "x", "pending", `{"a":"visible"}`),
		p.insert(t, "worker.sync_secret", "pending", `{"worker_id":"w1","user_uid":"u1","data":{"A":"hidden"}}`)
	out, err := p.run(t, "tasks", "show", fmt.Sprint(open))
	require.NoError(t, err)
	require.Contains(t, out, `{"a":"visible"}`)
	for _, format := range formats {
		out, err = p.run(t, "tasks", "show", fmt.Sprint(secret), "-o", format)
		require.NoError(t, err)
		require.NotContains(t, out, "hidden")
		require.Equal(t, format == string(jsonFormat), json.Valid([]byte(out)), out)
	}
	_, err = p.run(t, "tasks", "show", "4711")
	require.ErrorContains(t, err, "task 4711: no such task")
	_, err = p.run(t, "tasks", "show", "x")
	require.ErrorContains(t, err, "is not the id of a task")
}

func TestRetryAndCancelFailUnlessAllChange(t *testing.T) {
	t.Parallel()
	p := setup(t)
	failed, pending, running := p.insert(t, "x", "error", "{}"), p.insert(t, "x", "pending", "{}"),
		p.insert(t, "x", "processing", "{}")
	out, err := p.run(t, "tasks", "retry", fmt.Sprint(failed))
	require.NoError(t, err)
	require.Contains(t, out, "was error, is pending now")
	out, err = p.run(t, "tasks", "cancel", fmt.Sprint(running), fmt.Sprint(pending), "4711")
	require.EqualError(t, err, "2 of 3 tasks were not changed")
	require.Contains(t, out, "not interrupted")
	require.Contains(t, out, "was pending, is cancelled now")
	require.Contains(t, out, "no such task")
	out, err = p.run(t, "tasks", "retry", fmt.Sprint(running), fmt.Sprint(pending), "-o", "json")
	require.Error(t, err)
	var answer struct{ Tasks []job.Change }
	require.NoError(t, json.Unmarshal([]byte(out), &answer), out)
	require.Equal(t, []bool{false, true}, []bool{answer.Tasks[0].Changed, answer.Tasks[1].Changed})
}

func TestStatsAreCounted(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.insert(t, "x", "finished", "{}")
	p.insert(t, "y", "pending", "{}")
	out, err := p.run(t, "tasks", "stats")
	require.NoError(t, err)
	require.Regexp(t, `default +x +finished +1\n`, out)
	require.Regexp(t, `LANE +PENDING +OLDEST PENDING\ndefault +1 +\d`, out)
	out, err = p.run(t, "tasks", "stats", "-o", "json")
	require.NoError(t, err)
	require.Contains(t, out, `"oldest_pending_seconds"`)
	_, err = p.db.ExecContext(t.Context(),
		`INSERT INTO inner_processes (id, host, waiting_claims, oldest_waiting_seconds, overrun_jobs)
		VALUES ('p', 'pod-1', 3, 1.5, 2)`)
	require.NoError(t, err)
	out, err = p.run(t, "tasks", "stats")
	require.NoError(t, err)
	require.Regexp(t, `pod-1 +0 +3 +1.5s +2\n`, out)
}

func TestCellsArePrintableAndColumnsAligned(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	tab := newTable(&out)
	require.False(t, tab.coloured, "not a terminal")
	tab.coloured = true
	tab.row(plain("STATUS"), "NEXT")
	tab.row(status("error"), "a\x1b[2J\tb\nc")
	tab.row(status("superseded"), time.Time{})
	require.NoError(t, tab.tabs.Flush())
	require.NotContains(t, out.String(), "\x1b[2J")
	require.Contains(t, out.String(), "\x1b[31merror\x1b[0m")
	lines := strings.Split(out.String(), "\n")
	require.Equal(t, strings.Index(lines[0], "NEXT"), strings.Index(lines[1], "a [2J b c"))
	require.Equal(t, strings.Index(lines[0], "NEXT"), strings.Index(lines[2], "0001-"))
}
