package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

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
	require.ErrorContains(t, err, "status: must be one of running, claimed, pending, processing")
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
	require.Contains(t, strings.Join(strings.Fields(out), " "), "not interrupted")
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
	require.Regexp(t, `pod-1 +0 +0 +3 +1.5s +2\n`, out)
}

func TestRunningTasksAreListedFirstAndApartFromClaimed(t *testing.T) {
	t.Parallel()
	p := setup(t)
	running := p.insert(t, "a", "processing", "{}")
	claimed, pending := p.insert(t, "b", "processing", "{}"), p.insert(t, "c", "pending", "{}")
	_, err := p.db.ExecContext(t.Context(), `INSERT INTO inner_processes (id, host, running_tasks) VALUES ('p', 'pod-1', $1)`,
		fmt.Sprintf(",%d,", running))
	require.NoError(t, err)
	_, err = p.db.ExecContext(t.Context(), `UPDATE console_tasks SET claimed_by = 'p' WHERE task_status = 'processing'`)
	require.NoError(t, err)
	out, err := p.run(t, "tasks", "list")
	require.NoError(t, err)
	require.Regexp(t, fmt.Sprintf(`(?s)%d +a +running .*%d +b +claimed .*%d +c +pending`, running, claimed, pending), out)
	for state, want := range map[string]string{"running": "a", "claimed": "b", "processing": "a b"} {
		out, err = p.run(t, "tasks", "list", "--status", state, "-o", "json")
		require.NoError(t, err)
		var page job.Page
		require.NoError(t, json.Unmarshal([]byte(out), &page))
		var types []string
		for _, task := range page.Tasks {
			types = append(types, task.Type)
			require.Equal(t, task.Type == "a", task.Running)
		}
		require.Equal(t, want, strings.Join(types, " "), state)
	}
	out, err = p.run(t, "tasks", "list", "--limit", "1")
	require.NoError(t, err)
	require.Contains(t, out, fmt.Sprintf("--before %d", math.MaxInt64))
	out, err = p.run(t, "tasks", "list", "--limit", "1", "--before", fmt.Sprint(math.MaxInt64))
	require.NoError(t, err)
	require.Regexp(t, `pending`, out, "the next page has the others")
	out, err = p.run(t, "tasks", "stats")
	require.NoError(t, err)
	require.Regexp(t, `(?s)a +running +1\n.*b +claimed +1\n.*pod-1 +2 +1 `, out)
	out, err = p.run(t, "tasks", "show", fmt.Sprint(running))
	require.NoError(t, err)
	require.Regexp(t, `Status +running\n`, out)
}

func TestEveryRunningTaskIsOnAPageAndCancelled(t *testing.T) {
	t.Parallel()
	p := setup(t)
	running := ","
	var want []int64
	for n := range 3 {
		id := p.insert(t, fmt.Sprint("x", n), "processing", "{}") // the key is the type
		running += fmt.Sprint(id, ",")
		want = append(want, id)
	}
	_, err := p.db.ExecContext(t.Context(), `INSERT INTO inner_processes (id, host, running_tasks) VALUES ('p', 'pod-1', $1)`, running)
	require.NoError(t, err)
	_, err = p.db.ExecContext(t.Context(), `UPDATE console_tasks SET claimed_by = 'p'`)
	require.NoError(t, err)
	seen, before := map[int64]bool{}, int64(0)
	for {
		out, err := p.run(t, "tasks", "list", "--limit", "2", "--before", fmt.Sprint(before), "-o", "json")
		require.NoError(t, err)
		var page job.Page
		require.NoError(t, json.Unmarshal([]byte(out), &page))
		require.LessOrEqual(t, len(page.Tasks), 2)
		for _, task := range page.Tasks {
			seen[task.ID] = true
		}
		if before = page.Next; before == 0 {
			break
		}
	}
	for _, id := range want {
		require.True(t, seen[id], "task %d is on no page", id)
	}
	out, err := p.run(t, "tasks", "cancel", "--status", "processing", "--dry-run")
	require.NoError(t, err)
	for _, id := range want {
		require.Contains(t, out, fmt.Sprint(id))
	}
}

// insertKeys inserts tasks with these ordering keys and returns their ids.
func (p *program) insertKeys(t *testing.T) map[string]int64 {
	t.Helper()
	ids := map[string]int64{}
	for key, status := range map[string]string{
		"worker/u1/w1": "error", "worker/u1/w2": "pending", "worker/u2/w3": "error", "resource/u1/r1": "waiting",
		"notice/resource/u1/r1": "error", "user/u1": "cancelled", "resource/w1/u1": "error",
	} {
		ids[key] = p.insert(t, "x", status, "{}")
		_, err := p.db.ExecContext(t.Context(), `UPDATE console_tasks SET ordering_key = $2 WHERE id = $1`, ids[key], key)
		require.NoError(t, err)
	}
	_, err := p.db.ExecContext(t.Context(), `UPDATE console_tasks SET created_at = LOCALTIMESTAMP - INTERVAL '3 hours' WHERE id = $1`,
		ids["worker/u2/w3"])
	require.NoError(t, err)
	return ids
}

func TestTasksAreSelectedByFilters(t *testing.T) {
	t.Parallel()
	p := setup(t)
	ids := p.insertKeys(t)
	for _, c := range []struct {
		args string
		want []string
	}{
		{"list --user u1", []string{"worker/u1/w1", "worker/u1/w2", "resource/u1/r1", "notice/resource/u1/r1", "user/u1"}},
		{"list --worker w1", []string{"worker/u1/w1"}},
		{"list --since 2h --status error", []string{"worker/u1/w1", "notice/resource/u1/r1", "resource/w1/u1"}},
		{"list --until 2h", []string{"worker/u2/w3"}},
		{"list --since 2000-01-01 --until 2000-01-02T03:04:05Z", nil},
		{"retry --user u1 --dry-run", []string{"worker/u1/w1", "notice/resource/u1/r1"}},
		{"retry --user u1 --status cancelled --dry-run", []string{"user/u1"}},
		{"cancel --user u1 --dry-run", []string{"worker/u1/w2", "resource/u1/r1"}},
		{"cancel --worker w2", []string{"worker/u1/w2"}},
		{"retry --user u2 --type x", []string{"worker/u2/w3"}},
	} {
		out, err := p.run(t, append(append([]string{"tasks"}, strings.Fields(c.args)...), "-o", "json")...)
		require.NoError(t, err, "%s: %s", c.args, out)
		var page struct {
			Tasks []struct {
				ID int64 `json:"task_id"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(out), &page), out)
		var got, want []int64
		for _, task := range page.Tasks {
			got = append(got, task.ID)
		}
		for _, key := range c.want {
			want = append(want, ids[key])
		}
		require.ElementsMatch(t, want, got, c.args)
	}
	for key, want := range map[string]string{
		"worker/u1/w1": "error", "resource/u1/r1": "waiting", "worker/u1/w2": "cancelled", "worker/u2/w3": "pending",
	} {
		var status string
		require.NoError(t, p.db.QueryRowContext(t.Context(), `SELECT task_status FROM console_tasks WHERE id = $1`, ids[key]).Scan(&status))
		require.Equal(t, want, status, key)
	}
	out, err := p.run(t, "tasks", "retry", "--user", "u1", "--dry-run")
	require.NoError(t, err)
	require.Contains(t, out, "is error, would be pending")
}

func TestFilterThatMatchesNothingSaysSo(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for args, want := range map[string]string{
		"retry --type worker.deploy_workr":  "worker.deploy_workr is no job type of this version; did you mean worker.deploy_worker?",
		"cancel --type worker.deploy_workr": "did you mean worker.deploy_worker?",
		"list --type worker.deploy_workr":   "did you mean worker.deploy_worker?",
		"retry --user nobody":               "no task matches\n",
		"list --type worker.deploy_worker":  "no task matches\n",
	} {
		out, err := p.run(t, append([]string{"tasks"}, strings.Fields(args)...)...)
		require.NoError(t, err, args)
		require.Contains(t, out, want, args)
	}
}
