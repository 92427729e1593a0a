package database_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/testdatabase"
)

func TestServerNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		server  database.Server
		problem string
	}{
		{database.Server{Version: "PostgreSQL 15.14"}, ""},
		{database.Server{Version: "PostgreSQL 18beta1", ClockLag: 4 * time.Second}, ""},
		{database.Server{Version: "CockroachDB CCL v25.3.1"}, ""},
		{database.Server{Version: "CockroachDB CCL v24.1.0"}, ""},
		{database.Server{Version: "PostgreSQL 13.9"}, "PostgreSQL 13.9 is not supported: see docs/databases.md"},
		{database.Server{Version: "CockroachDB CCL v23.2.5"}, "CockroachDB CCL v23.2.5 is not supported: see docs/databases.md"},
		{database.Server{Version: "YugabyteDB 2.20"}, "YugabyteDB 2.20 is not supported: see docs/databases.md"},
		{database.Server{Version: "PostgreSQL 15.14", ClockLag: time.Minute}, "its clock is 1m0s ahead of this machine's"},
		{database.Server{Version: "PostgreSQL 15.14", ClockLag: -time.Hour}, "its clock is 1h0m0s behind this machine's"},
	} {
		require.Equal(t, c.problem, c.server.Problem(), "%+v", c.server)
	}
}

func TestServerReportsVersionAndClock(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	found, err := database.Inspect(t.Context(), db.DB, db.Config)
	require.NoError(t, err)
	require.Empty(t, found.Problem())
	require.Regexp(t, `^(PostgreSQL|CockroachDB).* v?[0-9]+\.`, found.Version)
	require.Less(t, found.ClockLag.Abs(), time.Second)
	require.NoError(t, database.ProbeWrite(t.Context(), db.DB, db.Config))
	var rows int
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM inner_platform WHERE name LIKE 'probe%'`).Scan(&rows))
	require.Zero(t, rows)
}

func TestProbeNamesReadOnlyServer(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "its setting")
	db := testdatabase.New(t)
	var name string
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT current_database()`).Scan(&name))
	_, err := db.ExecContext(t.Context(), `ALTER DATABASE `+name+` SET default_transaction_read_only = on`)
	require.NoError(t, err)
	fresh, err := database.Open(db.Config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, fresh.Close()) })
	require.Contains(t, database.Explain(database.ProbeWrite(t.Context(), fresh, db.Config)), "takes no writes")
}
