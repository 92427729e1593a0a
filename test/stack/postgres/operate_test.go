package postgres_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/stack/postgres"
)

func TestAFailoverAndTheWayBackLoseNothing(t *testing.T) {
	t.Parallel()
	ctx, server := setup(t, postgres.Options{})
	answer, err := query(ctx, t, server.DSN("postgres"), "CREATE TABLE kept (n INTEGER)")
	require.NoError(t, err, answer)
	for _, n := range []string{"1", "2"} {
		answer, err = query(ctx, t, server.DSN("postgres"), "INSERT INTO kept VALUES ("+n+")")
		require.NoError(t, err, answer)
		next, err := server.FailOver(ctx, func(standby *postgres.Server) {
			answer, err := query(ctx, t, standby.DSN("postgres"), "INSERT INTO kept VALUES (0)")
			require.Error(t, err)
			require.Contains(t, answer, "read-only")
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, next.Close()) })
		server = next
	}
	answer, err = query(ctx, t, server.DSN("postgres"), "SELECT string_agg(n::TEXT, ',' ORDER BY n) FROM kept")
	require.NoError(t, err, answer)
	require.Equal(t, "1,2", answer)
}

func TestFrozenBackendsAnswerOnceTheyGoOn(t *testing.T) {
	t.Parallel()
	ctx, server := setup(t, postgres.Options{})
	binDir, err := build.PostgreSQL(ctx, build.Options{})
	require.NoError(t, err)
	answers := make(chan string, 1)
	go func() {
		answer, _ := exec.CommandContext(ctx, filepath.Join(binDir, "psql"), server.DSN("postgres")+"&application_name=frozen",
			"-XAtqw", "-c", "SELECT pg_sleep(1); SELECT 'goes on'").Output()
		answers <- strings.TrimSpace(string(answer))
	}()
	var thaw func() error
	require.Eventually(t, func() bool {
		n, end, err := server.FreezeBackends(ctx, "postgres", "frozen")
		thaw = end
		return err == nil && n == 1
	}, limit, readyPoll)
	answer, err := query(ctx, t, server.DSN("postgres"), "SELECT 'others go on'")
	require.NoError(t, err)
	require.Equal(t, "others go on", answer)
	require.Empty(t, answers)
	require.NoError(t, thaw())
	require.Equal(t, "goes on", <-answers)
}

func TestADumpHoldsItsLocksWhileItIsNotRead(t *testing.T) {
	t.Parallel()
	ctx, server := setup(t, postgres.Options{})
	answer, err := query(ctx, t, server.DSN("postgres"),
		"CREATE TABLE big AS SELECT repeat('x', 100) FROM generate_series(1, 20000)")
	require.NoError(t, err, answer)
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		err := server.Dump(context.WithoutCancel(ctx), "postgres", writer)
		_ = writer.Close()
		ended <- err
	}()
	const held = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'big' AND l.granted"
	require.Eventually(t, func() bool {
		answer, err := query(ctx, t, server.DSN("postgres"), held)
		return err == nil && answer == "1"
	}, limit, readyPoll)
	require.Empty(t, ended)
	content, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.NoError(t, <-ended)
	require.Greater(t, len(content), 2_000_000)
}
