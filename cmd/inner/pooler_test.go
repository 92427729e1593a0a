package main

import (
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/stack/pgbouncer"
)

func TestCommandsRefusePoolerWithoutSessions(t *testing.T) {
	t.Parallel()
	p := setup(t)
	direct := p.db.Config.Database.DSN.Reveal()
	address, err := url.Parse(direct)
	require.NoError(t, err)
	pooler, err := pgbouncer.Start(t.Context(), pgbouncer.Options{Upstream: direct, Mode: pgbouncer.Transaction})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pooler.Close()) })
	kubeconfig := os.Getenv("INNER_TEST_KUBECONFIG")
	for _, command := range [][]string{
		{"migrate"}, {"serve", "-k", kubeconfig, "-l", "127.0.0.1:0"}, {"serve", "--migrate", "-k", kubeconfig, "-l", "127.0.0.1:0"},
		{"run-job", "DeleteWorkerCR", "--info", `{"worker_id":"nobody","user_uid":"u1"}`, "-k", kubeconfig},
		{"tasks", "list"}, {"tasks", "show", "1"}, {"tasks", "stats"}, {"tasks", "retry", "1"}, {"tasks", "cancel", "1"},
		{"domains", "list"}, {"usage"}, {"audit"}, {"status", "-k", kubeconfig},
	} {
		output, err := execute(t, append(command, "--config", p.config, "-d", pooler.DSN(address.Path[1:]))...)
		require.Error(t, err, "%v", command)
		text := output + err.Error()
		require.Contains(t, text, "database.dsn", "%v", command)
		require.Contains(t, text, "pool_mode", "%v", command)
		require.NotContains(t, text, pooler.DSN(""), "%v", command)
	}
	var tasks int
	require.NoError(t, p.db.QueryRowContext(t.Context(), `SELECT count(*) FROM console_tasks`).Scan(&tasks))
	require.Zero(t, tasks)
}
