package database_test

import (
	"context"
	"database/sql"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/tracing"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/stack/certificate"
	"app238.com/inner/test/stack/pgbouncer"
	"app238.com/inner/test/stack/postgres"
	"app238.com/inner/test/testdatabase"
)

// with returns a DSN with other parameters.
func with(t *testing.T, dsn string, settings map[string]string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	query := u.Query()
	for name, value := range settings {
		query.Set(name, value)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// encrypted returns the DSN of a new server with TLS.
func encrypted(t *testing.T) string {
	t.Helper()
	server, err := postgres.Start(t.Context(), postgres.Options{TLS: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return with(t, server.DSN("postgres"), map[string]string{"sslmode": "require"})
}

// authority returns the certificate file of an unrelated authority.
func authority(t *testing.T) string {
	t.Helper()
	public, _, err := certificate.SelfSigned("another")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "root.crt")
	require.NoError(t, os.WriteFile(path, public, 0o600))
	return path
}

func TestConnectErrorIsNoStatementError(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "it is PostgreSQL's settings that refuse connections")
	closed, other := testdatabase.NewEmpty(t), testdatabase.NewEmpty(t)
	require.NoError(t, closed.Close())
	_, err := plain(t, other).ExecContext(t.Context(), `ALTER DATABASE `+databaseName(t, closed)+` ALLOW_CONNECTIONS false`)
	require.NoError(t, err)
	dsn := other.Config.Database.DSN.Reveal()
	secure := encrypted(t)
	for name, c := range map[string]struct{ dsn, words string }{
		"no TLS": {with(t, dsn, map[string]string{"sslmode": "require"}), "offers no TLS"},
		"another authority": {with(t, secure, map[string]string{"sslmode": "verify-ca", "sslrootcert": authority(t)}),
			"authority"},
		"another authority, by name": {with(t, secure, map[string]string{"sslmode": "verify-full", "sslrootcert": authority(t)}),
			"authority"},
		"no file of an authority": {with(t, secure, map[string]string{"sslmode": "verify-ca", "sslrootcert": "/none"}),
			"a file that its DSN names"},
		"a value it does not take":   {with(t, dsn, map[string]string{"work_mem": "nonsense"}), "SQLSTATE 22023"},
		"a setting it does not know": {with(t, dsn, map[string]string{"no_such_setting": "1"}), "SQLSTATE 42704"},
		"closed":                     {closed.Config.Database.DSN.Reveal(), "SQLSTATE 55000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for way, err := range connectErrors(t, testdatabase.Config(t, c.dsn)) {
				t.Logf("%s: %v", way, err)
				temporary.is(t, err)
				require.Contains(t, database.Explain(err), c.words)
				require.False(t, database.IsMissing(err) || database.IsForbidden(err) || database.IsBadData(err),
					"not an error of the statement")
			}
		})
	}
}

// connectErrors returns the error of a statement on each kind of pool.
func connectErrors(t *testing.T, c *config.Config) map[string]error {
	t.Helper()
	c.Combinator.RDB.DSN = c.Database.DSN
	connector, err := database.EngineConnector(c.Combinator.RDB, "")
	require.NoError(t, err)
	engine := sql.OpenDB(connector)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	prepared, err := database.OpenPreparedPool(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, prepared.Close()) })
	heartbeat, err := database.OpenHeartbeat(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, heartbeat.Close()) })
	all := map[string]error{}
	_, all["pool"] = pool(t, c).ExecContext(t.Context(), `SELECT 1`)
	_, all["prepared"] = prepared.ExecContext(t.Context(), `SELECT 1`)
	_, all["heartbeat"] = heartbeat.Exec(t.Context(), `SELECT 1`)
	_, all["engine"] = engine.ExecContext(t.Context(), `SELECT 1`)
	return all
}

func TestStatementErrorIsPermanent(t *testing.T) {
	t.Parallel()
	db := testdatabase.NewEmpty(t)
	_, err := db.ExecContext(t.Context(), `SELECT set_config('no_such_setting', '1', false)`)
	permanent.is(t, err)
	require.True(t, database.IsMissing(err))
}

func TestPoolClosesAfterServerIsGone(t *testing.T) {
	t.Parallel()
	p := proxy.New(t, encrypted(t))
	db, err := database.Open(testdatabase.Config(t, p.DSN))
	require.NoError(t, err)
	require.NoError(t, db.PingContext(t.Context()))
	p.Cut()
	require.NoError(t, db.Close())
}

func TestPreparedTransactionNeedsOneConnection(t *testing.T) {
	t.Parallel()
	c := pooled(t, pgbouncer.Options{PoolSize: 2})
	prepared, err := database.OpenPreparedPool(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, prepared.Close()) })
	_, err = prepared.ExecContext(t.Context(), `SELECT 1`)
	require.NoError(t, err)
	other, err := stranger(t, c).Conn(t.Context()) // the pooler's other connection
	require.NoError(t, err)
	require.NoError(t, other.PingContext(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	for range 2 {
		require.NoError(t, prepared.InTx(ctx, func(tx *sql.Tx) error {
			for _, statement := range []string{`SELECT 1`, `SELECT 2`} {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	require.NoError(t, other.Close())
}

func TestStatementIsPreparedInAnotherSession(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "whether a name is taken once more within a failed transaction is PostgreSQL's way")
	for name, tracer := range map[string]*tracing.Tracing{"untraced": nil, "traced": traced(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testdatabase.NewEmpty(t)
			connector, err := database.Connector(d.Config)
			require.NoError(t, err)
			connector, err = tracer.Connector(connector)
			require.NoError(t, err)
			pool := database.Pool(connector, d.Config)
			t.Cleanup(func() { require.NoError(t, pool.Close()) })
			// The name that the driver gives to a session's first statement is taken, as in one that a pooler gave to others meanwhile.
			const taken = `PREPARE "1" AS SELECT 1`
			pool.SetMaxOpenConns(1)
			_, err = pool.ExecContext(t.Context(), taken)
			require.NoError(t, err)
			tx, err := pool.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			_, err = tx.PrepareContext(t.Context(), `SELECT 2`) //nolint:sqlclosecheck // there is none
			require.ErrorContains(t, err, "already exists")
			require.NoError(t, tx.Rollback())
			require.Zero(t, pool.Stats().OpenConnections, "the session is discarded")

			_, err = pool.ExecContext(t.Context(), taken)
			require.NoError(t, err)
			statement, err := pool.PrepareContext(t.Context(), `SELECT 2`)
			require.NoError(t, err)
			defer func() { require.NoError(t, statement.Close()) }()
		})
	}
}

// traced returns a tracing whose collector is unreachable.
func traced(t *testing.T) *tracing.Tracing {
	t.Helper()
	made, err := tracing.New(&config.Config{Tracing: config.Tracing{Endpoint: "http://127.0.0.1:1", Ratio: 1, Timeout: time.Second}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, made.Stop(context.WithoutCancel(t.Context()))) })
	return made
}

func TestStatementIsPreparedAgainAfterColumnTypeChange(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "CockroachDB changes no column's type within a transaction")
	db := testdatabase.NewEmpty(t)
	_, err := db.ExecContext(t.Context(), `CREATE TABLE counted (id INT4)`)
	require.NoError(t, err)
	read := func() error {
		rows, err := db.Prepared.QueryContext(t.Context(), `SELECT id FROM counted`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		return rows.Err()
	}
	require.NoError(t, read())
	_, err = db.ExecContext(t.Context(), `ALTER TABLE counted ALTER COLUMN id TYPE INT8`)
	require.NoError(t, err)
	require.NoError(t, read())
	require.ErrorContains(t, db.Prepared.InTx(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `ALTER TABLE counted ALTER COLUMN id TYPE TEXT`)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(t.Context(), `SELECT id FROM counted`)
		return err
	}), "cached plan")
	require.NoError(t, read())
}

func TestConnectEndsWithItsContext(t *testing.T) {
	t.Parallel()
	var listen net.ListenConfig
	silent, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ends := make(chan context.CancelFunc, 1)
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		var held []net.Conn
		for {
			conn, err := silent.Accept()
			if err != nil {
				break
			}
			held = append(held, conn)
			(<-ends)() // at the moment at which the driver gets its connection
		}
		for _, conn := range held {
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, silent.Close())
		<-accepted
	})
	c := testdatabase.Config(t, "postgres://nobody@"+silent.Addr().String()+"/none?sslmode=disable")
	c.Database.ConnectTimeout = timeout
	db := pool(t, c)
	begun := time.Now()
	for range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		ends <- cancel
		_, err := db.ExecContext(ctx, `SELECT 1`)
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Less(t, time.Since(begun), timeout, "an opening waited for its server")
}
