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
	"golang.org/x/sync/errgroup"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/stack/pgbouncer"
	"app238.com/inner/test/testdatabase"
)

// pooled returns the configuration of an empty database behind a new PgBouncer.
func pooled(t *testing.T, o pgbouncer.Options) *config.Config {
	t.Helper()
	db := testdatabase.NewEmpty(t)
	if o.Upstream == "" {
		o.Upstream = db.Config.Database.DSN.Reveal()
	}
	p, err := pgbouncer.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(p.LogFile())
			t.Logf("%s", log)
		}
		require.NoError(t, p.Close())
	})
	return testdatabase.Config(t, p.DSN(databaseName(t, db)))
}

func databaseName(t *testing.T, db *testdatabase.Database) string {
	t.Helper()
	direct, err := url.Parse(db.Config.Database.DSN.Reveal())
	require.NoError(t, err)
	return direct.Path[1:]
}

// pool returns the program's pool.
func pool(t *testing.T, c *config.Config) *sql.DB {
	t.Helper()
	db, err := database.Open(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// stranger returns a pool without Inner's parameters.
func stranger(t *testing.T, c *config.Config) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", c.Database.DSN.Reveal())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestSessionsThroughPoolerEqualDirectOnes(t *testing.T) {
	t.Parallel()
	c := pooled(t, pgbouncer.Options{})
	c.Database.DSN += "&search_path=pg_catalog,public&default_transaction_isolation=serializable"
	c.Database.StatementTimeout = 1500 * time.Millisecond
	db := pool(t, c)
	var zone, limit, name, path, isolation string
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT current_setting('timezone'), current_setting('statement_timeout'),
		current_setting('application_name'), current_setting('search_path'), current_setting('transaction_isolation')`).
		Scan(&zone, &limit, &name, &path, &isolation))
	require.Equal(t, []string{"UTC", "1500ms", "inner-gateway", "pg_catalog,public", "serializable"},
		[]string{zone, limit, name, path, isolation})
	_, err := db.ExecContext(t.Context(), `SELECT pg_sleep(60)`)
	require.ErrorContains(t, err, "statement timeout")
}

func TestStatementIsCancelledThroughPooler(t *testing.T) {
	t.Parallel()
	c := pooled(t, pgbouncer.Options{})
	db := pool(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := db.ExecContext(ctx, `SELECT pg_sleep(10)`)
	require.Error(t, err)
	require.Eventually(t, func() bool {
		var n int
		require.NoError(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'active' AND query = 'SELECT pg_sleep(10)'`).Scan(&n))
		return n == 0
	}, 8*time.Second, 20*time.Millisecond)
}

func TestPoolerWithoutSessionsIsRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]pgbouncer.Options{
		"transaction":               {Mode: pgbouncer.Transaction},
		"transaction, one server":   {Mode: pgbouncer.Transaction, PoolSize: 1},
		"transaction, in turn":      {Mode: pgbouncer.Transaction, Settings: map[string]string{"server_round_robin": "1"}},
		"transaction, always reset": {Mode: pgbouncer.Transaction, Settings: map[string]string{"server_reset_query_always": "1"}},
		"transaction, busy":         {Mode: pgbouncer.Transaction, PoolSize: 4},
		"transaction, busy, in turn": {Mode: pgbouncer.Transaction, PoolSize: 4,
			Settings: map[string]string{"server_round_robin": "1"}},
		"statement":             {Mode: pgbouncer.Statement},
		"statement, one server": {Mode: pgbouncer.Statement, PoolSize: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := pooled(t, o)
			others := stranger(t, c)
			// Several servers are there, as in a pooler that others use.
			use(t, others, 6, `SELECT pg_sleep(0.02)`)
			if o.PoolSize == 4 {
				ctx, stop := context.WithCancel(t.Context())
				var busy sync.WaitGroup
				for range 6 {
					busy.Go(func() {
						for ctx.Err() == nil {
							_, _ = others.ExecContext(ctx, `SELECT 1`)
						}
					})
				}
				t.Cleanup(func() { stop(); busy.Wait() })
			}
			db := pool(t, c)
			err := database.Ping(t.Context(), db, c)
			require.ErrorContains(t, err, "database.dsn")
			require.ErrorContains(t, err, "pool_mode")
			require.True(t, database.IsUnavailable(err), "what asks for it waits")
			require.Equal(t, err.Error(), database.Explain(err), "readiness says so")
			require.ErrorContains(t, database.Migrate(t.Context(), db), "pool_mode")
			prepared, err := database.OpenPreparedPool(c)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, prepared.Close()) })
			_, err = prepared.ExecContext(t.Context(), `SELECT 1`)
			require.ErrorContains(t, err, "pool_mode")
			for range 8 {
				var limit string
				require.NoError(t, others.QueryRowContext(t.Context(), `SHOW statement_timeout`).Scan(&limit))
				require.Equal(t, "0", limit, "other programs' sessions have Inner's settings")
			}
		})
	}
}

// use runs a statement n times at once.
func use(t *testing.T, db *sql.DB, n int, statement string) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	for range n {
		group.Go(func() error {
			_, err := db.ExecContext(ctx, statement)
			return err
		})
	}
	require.NoError(t, group.Wait())
}

func TestPoolSharesFewPoolerServers(t *testing.T) {
	t.Parallel()
	c := pooled(t, pgbouncer.Options{PoolSize: 8})
	c.Database.ConnectTimeout = 2 * time.Second
	prepared, err := database.OpenPreparedPool(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, prepared.Close()) })
	_, err = prepared.ExecContext(t.Context(), `SELECT 1`)
	require.NoError(t, err)
	db := pool(t, c)
	require.Greater(t, c.Database.MaxOpenConnections, 8)
	for range 3 {
		use(t, db, 40, `SELECT pg_sleep(0.05)`)
		_, err = prepared.ExecContext(t.Context(), `SELECT 1`)
		require.NoError(t, err)
	}
	require.LessOrEqual(t, db.Stats().OpenConnections, 7)
}

func TestFullPoolerIsReported(t *testing.T) {
	t.Parallel()
	c := pooled(t, pgbouncer.Options{PoolSize: 2})
	c.Database.ConnectTimeout = time.Second
	others := stranger(t, c)
	var held []*sql.Conn
	for range 2 {
		conn, err := others.Conn(t.Context())
		require.NoError(t, err)
		require.NoError(t, conn.PingContext(t.Context()))
		held = append(held, conn)
	}
	db := pool(t, c)
	_, err := db.ExecContext(t.Context(), `SELECT 1`)
	require.True(t, database.IsUnavailable(err), "%v", err)
	require.Contains(t, database.Explain(err), "default_pool_size")
	for _, conn := range held {
		require.NoError(t, conn.Close())
	}
	require.NoError(t, others.Close())
	require.Eventually(t, func() bool {
		_, err := db.ExecContext(t.Context(), `SELECT 1`)
		return err == nil
	}, timeout, 50*time.Millisecond)
}

func TestStatementWithLostPoolerAnswerIsNotRepeated(t *testing.T) {
	t.Parallel()
	direct := testdatabase.NewEmpty(t)
	_, err := direct.ExecContext(t.Context(), `CREATE TABLE events (name TEXT)`)
	require.NoError(t, err)
	p := proxy.New(t, direct.Config.Database.DSN.Reveal())
	c := pooled(t, pgbouncer.Options{Upstream: p.DSN})
	upstream, err := url.Parse(c.Database.DSN.Reveal())
	require.NoError(t, err)
	upstream.Path = "/" + databaseName(t, direct)
	c.Database.DSN = config.Secret(upstream.String())
	db := pool(t, c)
	prepared, err := database.OpenPreparedPool(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, prepared.Close()) })
	const insert = `INSERT INTO events (name) VALUES ($1)`
	for name, execer := range map[string]interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}{"pool": db, "prepared": prepared} {
		_, err := execer.ExecContext(t.Context(), insert, name+" whole")
		require.NoError(t, err)
		p.LoseAnswers("INSERT INTO events", 1)
		_, err = execer.ExecContext(t.Context(), insert, name)
		require.True(t, database.IsUnavailable(err), "%v", err)
		require.False(t, database.IsRefused(err), "it may have been carried out: %v", err)
		var n int
		require.NoError(t, direct.QueryRowContext(t.Context(), `SELECT count(*) FROM events WHERE name = $1`, name).Scan(&n))
		require.Equal(t, 1, n)
		_, err = execer.ExecContext(t.Context(), insert, name+" afterwards")
		require.NoError(t, err)
	}
}
