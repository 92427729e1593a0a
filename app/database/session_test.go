package database_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/testdatabase"
)

const timeout = time.Minute

// open returns new pools on the database of d.
func open(t *testing.T, d *testdatabase.Database) (*sql.DB, *database.PreparedPool) {
	t.Helper()
	pool, err := database.Open(d.Config)
	require.NoError(t, err)
	prepared, err := database.OpenPreparedPool(d.Config)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = pool.Close(), prepared.Close() })
	return pool, prepared
}

func TestReadOnlySessionIsNotUsed(t *testing.T) {
	t.Parallel()
	d := testdatabase.NewEmpty(t)
	var name string
	require.NoError(t, d.QueryRowContext(t.Context(), `SELECT current_database()`).Scan(&name))
	set := func(value string) {
		_, err := d.ExecContext(t.Context(), `ALTER DATABASE `+name+` SET default_transaction_read_only = `+value)
		require.NoError(t, err)
	}
	set("on")
	pool, prepared := open(t, d)
	_, err := prepared.ExecContext(t.Context(), `SELECT 1`)
	for _, err := range []error{err, database.Ping(t.Context(), pool, d.Config)} {
		temporary.is(t, err)
		require.Contains(t, database.Explain(err), "takes no writes")
	}
	require.Zero(t, pool.Stats().OpenConnections)
	set("off")
	require.NoError(t, database.Ping(t.Context(), pool, d.Config))
}

func TestReadOnlySessionIsReplaced(t *testing.T) {
	t.Parallel()
	d := testdatabase.NewEmpty(t)
	_, err := d.ExecContext(t.Context(), `CREATE TABLE events (name TEXT)`)
	require.NoError(t, err)
	pool, prepared := open(t, d)
	pool.SetMaxOpenConns(1)
	const readOnly = `SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY`
	const insert = `INSERT INTO events (name) VALUES ($1)`

	// A refused statement runs on another connection.
	for _, use := range []interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}{pool, prepared} {
		_, err = use.ExecContext(t.Context(), readOnly)
		require.NoError(t, err)
		_, err = use.ExecContext(t.Context(), insert, "x")
		require.NoError(t, err)
	}

	// But not within a transaction, of which that would be a part only.
	_, err = pool.ExecContext(t.Context(), readOnly)
	require.NoError(t, err)
	tx, err := pool.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), `SET TRANSACTION READ ONLY`)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), insert, "y")
	temporary.is(t, err)
	require.NoError(t, tx.Rollback())
	require.Zero(t, pool.Stats().OpenConnections)

	var n int
	require.NoError(t, d.QueryRowContext(t.Context(), `SELECT count(*) FROM events`).Scan(&n))
	require.Equal(t, 2, n)
}

func TestStatementOfEndedSessionIsNotRepeated(t *testing.T) {
	t.Parallel()
	d := testdatabase.NewEmpty(t)
	_, err := d.ExecContext(t.Context(), `CREATE SEQUENCE sent`)
	require.NoError(t, err)
	pool, prepared := open(t, d)
	// What the sequence gave is not taken back.
	const statement = `SELECT pg_terminate_backend(CAST(pg_backend_pid() + 0 * nextval('sent') AS INTEGER)), pg_sleep(10)`
	_, err = pool.ExecContext(t.Context(), statement)
	ambiguous.is(t, err)
	_, err = prepared.ExecContext(t.Context(), statement)
	ambiguous.is(t, err)
	var last int
	require.NoError(t, plain(t, d).QueryRowContext(t.Context(), `SELECT last_value FROM sent`).Scan(&last))
	require.Equal(t, 2, last, "a statement was sent again")
}

func TestOldConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	d := testdatabase.NewEmpty(t)
	d.Config.Database.MaxConnectionLifetime = 100 * time.Millisecond
	pool, _ := open(t, d)
	session := func() (pid int) {
		require.NoError(t, pool.QueryRowContext(t.Context(), `SELECT pg_backend_pid()`).Scan(&pid))
		return pid
	}
	first := session()
	require.Eventually(t, func() bool { return session() != first }, timeout, 10*time.Millisecond)
}
