package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunJobRunsNewAndExistingTasks(t *testing.T) {
	t.Parallel()
	p := setup(t)
	kubeconfig := os.Getenv("INNER_TEST_KUBECONFIG")
	require.NotEmpty(t, kubeconfig, "run the tests with make test")
	const info = `{"worker_id":"nobody","user_uid":"u1"}`
	out, err := p.run(t, "run-job", "DeleteWorkerCR", "--info", info, "-k", kubeconfig)
	require.NoError(t, err, out)
	require.Contains(t, out, "task 1: accepted")
	require.Contains(t, out, "task 1: finished")

	id := p.insert(t, "worker.delete_worker_cr", "waiting", info)
	out, err = p.run(t, "run-job", "--task", fmt.Sprint(id), "-k", kubeconfig)
	require.NoError(t, err, out)
	require.Contains(t, out, "made due")

	out, err = p.run(t, "run-job", "worker.deploy_worker", "--info", `{"worker_id":"nobody","user_uid":"u1","version_id":1}`, "-k",
		kubeconfig)
	require.ErrorContains(t, err, "ended as error", out)
	blocked := p.insert(t, "worker.delete_worker_cr", "processing", info)
	out, err = p.run(t, "run-job", "worker.delete_worker_cr", "--task", fmt.Sprint(blocked), "-k", kubeconfig)
	require.ErrorContains(t, err, "is already processing", out)
}

func TestRunJobRefusesInvalidCallsWithoutConnecting(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"the known ones are audit.stuck_rows, auth.register_user, auth.user_audit, ": {"run-job", "nope"},
		"a job type is required":    {"run-job"},
		"none of the others can be": {"run-job", "DeployWorker", "--task", "1", "--info", "{}"},
	} {
		_, err := execute(t, args...)
		require.ErrorContains(t, err, want)
	}
}

func TestJobTypesAreCompletedWithoutDatabase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want, not string }{
		{"run-job ", "worker.deploy_worker", ""},
		{"run-job ", "DeployWorkerJob", ""},
		{"run-job worker.del", "worker.delete_worker_cr", "worker.deploy_worker"},
		{"run-job Deploy", "DeployWorker", "worker."},
		{"run-job x ", ":4", "worker."},
		{"tasks list --type worker.dep", "worker.deploy_worker", "delete"},
		{"tasks list --status pro", "processing", ""},
	} {
		out, err := execute(t, append([]string{"__completeNoDesc"}, strings.Split(c.args, " ")...)...)
		require.NoError(t, err)
		require.Contains(t, out, c.want, c.args)
		if c.not != "" {
			require.NotContains(t, out, c.not, c.args)
		}
	}
}
