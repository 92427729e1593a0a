package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/testdatabase"
)

func TestStatementWithLostAnswerIsNotRepeated(t *testing.T) {
	t.Parallel()
	db := testdatabase.NewEmpty(t)
	_, err := db.ExecContext(t.Context(), `CREATE TABLE events (name TEXT)`)
	require.NoError(t, err)
	p := proxy.New(t, db.Config.Database.DSN.Reveal())
	c := testdatabase.Config(t, p.DSN)
	pool, err := database.Open(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	prepared, err := database.OpenPreparedPool(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, prepared.Close()) })
	const insert = `INSERT INTO events (name) VALUES ($1)`
	for name, execute := range map[string]func(string) error{
		"pool": func(name string) error {
			_, err := pool.ExecContext(t.Context(), insert, name)
			return err
		},
		"prepared": func(name string) error {
			_, err := prepared.ExecContext(t.Context(), insert, name)
			return err
		},
	} {
		require.NoError(t, execute(name+" whole"))
		p.LoseAnswers("INSERT INTO events", 1)
		err := execute(name)
		require.True(t, database.IsUnavailable(err), "%v", err)
		require.False(t, database.IsRefused(err), "it may have been carried out: %v", err)
		var n int
		require.NoError(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM events WHERE name = $1`, name).Scan(&n))
		require.Equal(t, 1, n)
		require.NoError(t, execute(name+" afterwards"))
	}
}

func TestClosedIdleConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	db := testdatabase.NewEmpty(t)
	p := proxy.New(t, db.Config.Database.DSN.Reveal())
	pool, err := database.Open(testdatabase.Config(t, p.DSN))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	require.NoError(t, pool.PingContext(t.Context()))
	p.Cut()
	p.Restore()
	var one int
	require.NoError(t, pool.QueryRowContext(t.Context(), `SELECT 1`).Scan(&one))
}
