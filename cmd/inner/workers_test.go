package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/workers/admin"
)

// insertWorker writes a worker with versions in these states, of which the first one is active, and returns the versions.
func (p *program) insertWorker(t *testing.T, wid, user, status string, versions ...string) (ids []int64) {
	t.Helper()
	var row int64
	require.NoError(t, p.db.QueryRowContext(t.Context(), `INSERT INTO workers (wid, user_uid, worker_name, status, assigned_cpu, main_region)
		VALUES ($1, $2, 'a worker', $3, '', 'global') RETURNING id`, wid, user, status).Scan(&row))
	for _, of := range versions {
		var id int64
		message := ""
		if of == "error" {
			message = "CrashLoopBackOff: exit code 1"
		}
		require.NoError(t, p.db.QueryRowContext(t.Context(), `INSERT INTO worker_deploy_versions (worker_id, image, port, status, msg)
			VALUES ($1, 'registry.test/app:1', 8080, $2, $3) RETURNING id`, row, of, message).Scan(&id))
		ids = append(ids, id)
	}
	if len(ids) > 0 && versions[0] == "success" {
		_, err := p.db.ExecContext(t.Context(), `UPDATE workers SET active_version_id = $2 WHERE id = $1`, row, ids[0])
		require.NoError(t, err)
	}
	return ids
}

func TestWorkersAreListedByFilters(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.insertWorker(t, "w1", "u1", "active", "success")
	p.insertWorker(t, "w2", "u1", "active", "success", "error")
	p.insertWorker(t, "w3", "u2", "error", "error")
	later := p.insertWorker(t, "w4", "u2", "active", "success", "success")
	_, err := p.db.ExecContext(t.Context(), `UPDATE worker_deploy_versions SET msg = 'since noon: OOMKilled' WHERE id = $1`, later[0])
	require.NoError(t, err)
	p.insertWorker(t, "w5", "u3", "unloaded")
	for args, want := range map[string]string{
		"": "w5 w4 w3 w2 w1", "--failing": "w4 w3 w2", "--user u1": "w2 w1", "--status active --failing": "w4 w2", "--limit 2": "w5 w4",
	} {
		out, err := p.run(t, append(strings.Fields("workers list "+args), "-o", "json")...)
		require.NoError(t, err)
		var page admin.Page
		require.NoError(t, json.Unmarshal([]byte(out), &page))
		var got []string
		for _, w := range page.Workers {
			got = append(got, w.WorkerID)
		}
		require.Equal(t, want, strings.Join(got, " "), args)
		require.Contains(t, page.ClusterError, "neither a kubeconfig")
	}
	out, err := p.run(t, "workers", "list")
	require.NoError(t, err)
	require.Regexp(t, `w3 +u2 +error +-/1 +1/500Mi/2Gi +\d+s +CrashLoopBackOff: exit`, out)
	require.Regexp(t, `w4 .* since noon: OOMKilled`, out)
	require.Contains(t, out, "pods are not counted: there is neither")
	for _, line := range strings.Split(out, "\n")[:6] {
		require.LessOrEqual(t, len(line), 80)
	}
	_, err = p.run(t, "workers", "list", "--status", "x")
	require.Equal(t, exitUsage, exitStatus(err))
}

func TestWorkerIsShownWithWhatIsWrongFirst(t *testing.T) {
	t.Parallel()
	p := setup(t)
	versions := p.insertWorker(t, "w1", "u1", "active", "success", "error")
	task := p.insert(t, "worker.deploy_worker", "error", "{}")
	_, err := p.db.ExecContext(t.Context(), `UPDATE console_tasks SET ordering_key = 'worker/u1/w1', task_detailed_status = 'registry away'
		WHERE id = $1`, task)
	require.NoError(t, err)
	out, err := p.run(t, "workers", "show", "w1", "-o", "json", "-k", os.Getenv("INNER_TEST_KUBECONFIG"))
	require.NoError(t, err)
	var d admin.Details
	require.NoError(t, json.Unmarshal([]byte(out), &d), out)
	require.Empty(t, d.ClusterError)
	require.Equal(t, []string{
		fmt.Sprintf("version %d has failed, version %d serves: CrashLoopBackOff: exit code 1", versions[1], versions[0]),
		fmt.Sprintf("task %d (worker.deploy_worker) was discarded: registry away", task),
		"the WorkerApp w-w1-u1 does not exist; the next audit restores it (inner audit --dry-run)",
	}, d.Problems)
	out, err = p.run(t, "workers", "show", "w1")
	require.NoError(t, err)
	require.Regexp(t, `^Problem +the cluster could not be read: read the WorkerApp: there is neither`, out)
	require.Regexp(t, fmt.Sprintf(`(?m)^%d \(active\) +success +8080 `, versions[0]), out)
	require.Regexp(t, fmt.Sprintf(`(?m)^%d +worker.deploy_worker +error `, task), out)
	_, err = p.run(t, "workers", "show", "w9")
	require.EqualError(t, err, "no such worker: w9")
	require.Equal(t, exitFailure, exitStatus(err))
}

func TestUserIsShownWithWhatIsWrongFirst(t *testing.T) {
	t.Parallel()
	p := setup(t)
	_, err := p.db.ExecContext(t.Context(), `INSERT INTO users (uid, email, password_hash, secret_key)
		VALUES ('u1', 'u1@example.com', 'hunter2', 'sk_hunter2')`)
	require.NoError(t, err)
	_, err = p.db.ExecContext(t.Context(), `INSERT INTO combinator_resources (user_uid, resource_type, resource_id, status, msg)
		VALUES ('u1', 'rdb', 'r1', 'error', 'the engine refused it'), ('u2', 'kv', 'k1', 'active', '')`)
	require.NoError(t, err)
	p.insertWorker(t, "w1", "u1", "error", "error")
	p.insertDomain(t, "0a1b2c3d", "u1", "www.user.test")
	task := p.insert(t, "combinator.delete_rdb", "error", "{}")
	_, err = p.db.ExecContext(t.Context(), `UPDATE console_tasks SET ordering_key = 'rdb/u1/gone', task_detailed_status = 'no route'
		WHERE id = $1`, task)
	require.NoError(t, err)
	out, err := p.run(t, "users", "show", "u1")
	require.NoError(t, err)
	require.NotContains(t, out, "hunter2")
	words := strings.Join(strings.Fields(out), " ")
	require.Contains(t, words, "Problem worker w1 is error: CrashLoopBackOff: exit code 1 "+
		"Problem rdb r1 is error: the engine refused it "+
		fmt.Sprintf("Problem task %d (combinator.delete_rdb) was discarded: no route", task))
	require.Contains(t, words, "Has 1 workers, 1 resources, 1 domains")
	require.NotContains(t, out, "k1")
	for _, format := range []string{"json", "yaml"} {
		out, err = p.run(t, "users", "show", "u1", "-o", format)
		require.NoError(t, err)
		require.NotContains(t, out, "hunter2")
		require.Contains(t, out, "www.user.test")
	}
	_, err = p.run(t, "users", "show", "u9")
	require.EqualError(t, err, "no such user: u9")

	_, err = p.db.ExecContext(t.Context(), `INSERT INTO workers (wid, user_uid, worker_name, status, assigned_cpu, main_region)
		SELECT 'more' || n, 'u1', 'a worker', 'active', '', 'global' FROM generate_series(1, $1::BIGINT) n`, admin.MaxPage)
	require.NoError(t, err)
	out, err = p.run(t, "users", "show", "u1")
	require.NoError(t, err)
	require.Contains(t, out, "more than 1000 workers")
	require.Contains(t, out, "inner workers list --user u1 --before ")
}
