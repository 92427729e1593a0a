package postgres_test

import (
	"context"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/stack/postgres"
)

const (
	limit     = time.Minute
	readyPoll = 20 * time.Millisecond
)

func setup(t *testing.T, opts postgres.Options) (context.Context, *postgres.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	server, err := postgres.Start(ctx, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return ctx, server
}

// query runs SQL through a client program and returns the bare answer.
func query(ctx context.Context, t *testing.T, dsn, sql string) (string, error) {
	t.Helper()
	binDir, err := build.PostgreSQL(ctx, build.Options{})
	require.NoError(t, err)
	output, err := exec.CommandContext(ctx, filepath.Join(binDir, "psql"), dsn, "-XAtqw", "-c", sql).CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

func TestStart(t *testing.T) {
	t.Parallel()
	ctx, first := setup(t, postgres.Options{})
	_, second := setup(t, postgres.Options{Settings: map[string]string{"fsync": "on", "max_connections": "20"}})

	t.Run("two servers have nothing in common", func(t *testing.T) {
		require.NotEqual(t, first.Port(), second.Port())
		require.NotEqual(t, first.Password(), second.Password())
	})
	t.Run("settings", func(t *testing.T) {
		for dsn, want := range map[string]string{first.DSN("postgres"): "off|300", second.DSN("postgres"): "on|20"} {
			got, err := query(ctx, t, dsn,
				"SELECT current_setting('fsync'), current_setting('max_connections')")
			require.NoError(t, err, got)
			require.Equal(t, want, got)
		}
	})
	t.Run("loopback only", func(t *testing.T) {
		got, err := query(ctx, t, first.DSN("postgres"),
			"SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')")
		require.NoError(t, err, got)
		require.Equal(t, "127.0.0.1|", got)
	})
	t.Run("the password is asked for", func(t *testing.T) {
		_, err := query(ctx, t, strings.Replace(first.DSN("postgres"), first.Password(), "wrong", 1), "SELECT 1")
		require.Error(t, err)
	})
	t.Run("databases", func(t *testing.T) {
		require.NoError(t, first.CreateDatabase(ctx, "Odd-name"))
		got, err := query(ctx, t, first.DSN("Odd-name"), "SELECT current_database()")
		require.NoError(t, err, got)
		require.Equal(t, "Odd-name", got)
		require.ErrorContains(t, first.CreateDatabase(ctx, "Odd-name"), "already exists")
	})
}

func TestRestart(t *testing.T) {
	t.Parallel()
	ctx, server := setup(t, postgres.Options{})
	port, dsn := server.Port(), server.DSN("postgres")
	stops := map[string]func() error{
		"stopped": func() error { return server.Stop(ctx) },
		"killed":  server.Kill,
	}
	for name, stop := range stops {
		answer, err := query(ctx, t, dsn, "CREATE TABLE "+name+" AS SELECT 42 AS n")
		require.NoError(t, err, answer)

		require.NoError(t, stop())
		_, err = query(ctx, t, dsn, "SELECT 1")
		require.Error(t, err, "a server that was %s answers", name)

		require.NoError(t, server.Restart(ctx))
		require.Equal(t, port, server.Port())
		answer, err = query(ctx, t, dsn, "SELECT n FROM "+name)
		require.NoError(t, err, answer)
		require.Equal(t, "42", answer, "committed before the server was %s", name)
	}
}

func TestStandbyAcceptsWritesOncePromoted(t *testing.T) {
	t.Parallel()
	ctx, primary := setup(t, postgres.Options{})
	standby, err := primary.Standby(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Close()) })
	require.NotEqual(t, primary.Port(), standby.Port())
	dsn := standby.DSN("postgres")
	answer, err := query(ctx, t, primary.DSN("postgres"), "CREATE TABLE followed AS SELECT 42 AS n")
	require.NoError(t, err, answer)
	require.Eventually(t, func() bool {
		answer, err := query(ctx, t, dsn, "SELECT n FROM followed")
		return err == nil && answer == "42"
	}, limit, 50*time.Millisecond)
	answer, err = query(ctx, t, dsn, "INSERT INTO followed VALUES (1)")
	require.Error(t, err)
	require.Contains(t, answer, "read-only")
	require.NoError(t, standby.Promote(ctx))
	answer, err = query(ctx, t, dsn, "INSERT INTO followed VALUES (1)")
	require.NoError(t, err, answer)
}

func TestTheClockStepsWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	ctx, server := setup(t, postgres.Options{Clock: true})
	_, other := setup(t, postgres.Options{})
	require.Error(t, other.StepClock(time.Hour), "it has the machine's")
	dsn := server.DSN("postgres")
	answer, err := query(ctx, t, dsn, "CREATE TABLE times AS SELECT clock_timestamp() AS at")
	require.NoError(t, err, answer)
	for _, offset := range []time.Duration{time.Hour, -time.Hour, 0} {
		require.NoError(t, server.StepClock(offset))
		answer, err := query(ctx, t, dsn, "SELECT round(extract(epoch FROM clock_timestamp() - at) / 3600) FROM times")
		require.NoError(t, err, answer)
		require.Equal(t, strconv.Itoa(int(offset.Hours())), answer)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	server, err := postgres.Start(ctx, postgres.Options{})
	require.NoError(t, err)
	dir := filepath.Dir(server.LogFile())
	require.NoError(t, server.Close())
	require.NoDirExists(t, dir)
	_, err = query(ctx, t, server.DSN("postgres"), "SELECT 1")
	require.Error(t, err)
}

func TestStartShowsTheLog(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	_, err := postgres.Start(ctx, postgres.Options{Settings: map[string]string{"no_such_setting": "1"}})
	require.ErrorContains(t, err, "postgres ended")
	require.ErrorContains(t, err, "no_such_setting")
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	ctx, server := setup(t, postgres.Options{Network: netip.MustParsePrefix("127.7.0.1/16")})
	require.Contains(t, server.DSN("postgres"), "@127.7.0.1:")
	answer, err := query(ctx, t, server.DSN("postgres"), `SELECT host(inet_server_addr()),
		(SELECT auth_method FROM pg_hba_file_rules WHERE address = '127.7.0.0' AND netmask = '255.255.0.0')`)
	require.NoError(t, err, answer)
	require.Equal(t, "127.7.0.1|scram-sha-256", answer)
}
