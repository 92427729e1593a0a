package database_test

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/test/stack/pgbouncer"
	"app238.com/inner/test/testdatabase"
)

// pooled returns the configuration of a new database behind a PgBouncer of the test's own.
func pooled(t *testing.T, o pgbouncer.Options) (*pgbouncer.Pooler, *config.Config, *testdatabase.Database) {
	t.Helper()
	db := testdatabase.NewEmpty(t)
	direct, err := url.Parse(db.Config.Database.DSN.Reveal())
	require.NoError(t, err)
	o.Upstream = direct.String()
	p, err := pgbouncer.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, p.Close())
		if t.Failed() {
			log, _ := os.ReadFile(p.LogFile())
			t.Logf("%s", log)
		}
	})
	return p, testdatabase.Config(t, p.DSN(direct.Path[1:])), db
}

func open(t *testing.T, c *config.Config) *sql.DB {
	t.Helper()
	db, err := database.Open(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestSessionsThroughAPoolerAsItComesAreLikeDirectOnes(t *testing.T) {
	t.Parallel()
	_, c, _ := pooled(t, pgbouncer.Options{})
	c.Database.StatementTimeout = 1500 * time.Millisecond
	db := open(t, c)
	var zone, limit, name string
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT current_setting('timezone'), current_setting('statement_timeout'),
		current_setting('application_name')`).Scan(&zone, &limit, &name))
	require.Equal(t, []string{"UTC", "1500ms", "inner-gateway"}, []string{zone, limit, name})
	_, err := db.ExecContext(t.Context(), `SELECT pg_sleep(60)`)
	require.ErrorContains(t, err, "statement timeout")
	require.NoError(t, database.Migrate(t.Context(), db))
}
