package server_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"app238.com/inner/app/database"
	"app238.com/inner/test/cockroach/server"
	"app238.com/inner/test/testdatabase"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup returns a database of a server that plays a CockroachDB, and the same one of the PostgreSQL behind it.
func setup(t *testing.T) (*server.Server, *sql.DB, *testdatabase.Database) {
	t.Helper()
	behind := testdatabase.NewEmpty(t)
	s, dsn := testdatabase.EmulateCockroachDB(t, behind.Config.Database.DSN)
	db, err := database.Open(testdatabase.Config(t, dsn.Reveal()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	_, err = behind.Exec(`CREATE TABLE t (a INT)`)
	require.NoError(t, err)
	return s, db, behind
}

func count(t *testing.T, db *testdatabase.Database) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM t`).Scan(&n))
	return n
}

func requireCode(t *testing.T, err error, code string) {
	t.Helper()
	pe, ok := errors.AsType[*pq.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, code, string(pe.Code), "%v", err)
}

func TestSaysThatItIsACockroachDB(t *testing.T) {
	t.Parallel()
	_, db, behind := setup(t)
	found, err := database.Inspect(t.Context(), db, behind.Config)
	require.NoError(t, err)
	require.Equal(t, "CockroachDB CCL v25.4.1", found.Version)
	require.Empty(t, found.Problem())
	var other bool
	require.NoError(t, db.QueryRow(`SELECT version() LIKE 'PostgreSQL%' AND $1::INT = 1`, 1).Scan(&other))
	require.False(t, other)
	_, err = db.Exec(`SELECT name FROM crdb_internal.tables`)
	requireCode(t, err, "42501")
	_, err = db.Exec(`SELECT name FROM crdb_internal.tables WHERE name = $1`, "a")
	requireCode(t, err, "42501")
	_, err = db.Exec(`ALTER ROLE r CONNECTION LIMIT 1`)
	requireCode(t, err, "42601")
	require.NoError(t, db.Ping(), "an error ends no session")
}

func TestSchemaChangeEndsTransaction(t *testing.T) {
	t.Parallel()
	_, db, behind := setup(t)
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.Exec(`INSERT INTO t VALUES ($1)`, 1)
	require.NoError(t, err)
	require.Zero(t, count(t, behind))
	_, err = tx.Exec(`CREATE TABLE u (a INT)`)
	require.NoError(t, err)
	require.Equal(t, 1, count(t, behind), "what came before is committed")
	require.ErrorContains(t, tx.Commit(), "unexpected transaction status idle")
	require.NoError(t, behind.QueryRow(`SELECT 1 FROM pg_tables WHERE tablename = 'u'`).Scan(new(int)))
}

func TestEachChangeOfATextOfSeveralIsItsOwn(t *testing.T) {
	t.Parallel()
	_, db, behind := setup(t)
	_, err := db.Exec(`CREATE SCHEMA one; CREATE SCHEMA one; CREATE SCHEMA two`)
	requireCode(t, err, "42P06")
	var schemas int
	require.NoError(t, behind.QueryRow(`SELECT count(*) FROM pg_namespace WHERE nspname IN ('one', 'two')`).Scan(&schemas))
	require.Equal(t, 1, schemas)
}

func TestCommitsFailAsScripted(t *testing.T) {
	t.Parallel()
	s, db, behind := setup(t)
	s.Script(server.Fault{Statement: "COMMIT", Code: "40001"}, server.Fault{Statement: "COMMIT", Code: "40003", Applied: true},
		server.Fault{Statement: "INSERT", Code: "40001"}, server.Fault{Statement: "INSERT", Code: "40003", Applied: true})
	insert := func() error {
		return in(t.Context(), db, func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO t VALUES (1)`)
			return err
		})
	}
	requireCode(t, insert(), "40001")
	require.Zero(t, count(t, behind))
	requireCode(t, insert(), "40003")
	require.Equal(t, 1, count(t, behind))
	require.NoError(t, insert())
	require.Equal(t, 2, count(t, behind))
	alone := func() error { return db.QueryRow(`INSERT INTO t VALUES ($1) RETURNING a`, 1).Scan(new(int)) }
	requireCode(t, alone(), "40001")
	require.Equal(t, 2, count(t, behind))
	requireCode(t, alone(), "40003")
	require.Equal(t, 3, count(t, behind))
	require.NoError(t, alone())
	require.Zero(t, s.Outstanding())
}

func in(ctx context.Context, db *sql.DB, work func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := work(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func TestACancelledStatementEnds(t *testing.T) {
	t.Parallel()
	_, db, behind := setup(t)
	plain, err := database.Open(behind.Config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = plain.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running := func() (n int) {
		require.NoError(t, plain.QueryRow(`SELECT count(*) FROM pg_stat_activity
			WHERE query = 'SELECT pg_sleep(9.5)' AND state = 'active' AND datname = current_database()`).Scan(&n))
		return n
	}
	ended := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(ctx, `SELECT pg_sleep(9.5)`)
		ended <- err
	}()
	require.Eventually(t, func() bool { return running() == 1 }, 9*time.Second, time.Millisecond)
	cancel()
	require.Error(t, <-ended)
	require.Eventually(t, func() bool { return running() == 0 }, 9*time.Second, time.Millisecond)
	require.NoError(t, db.Ping())
}
