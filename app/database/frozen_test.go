package database_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/testdatabase"
)

func TestMigrationOnFrozenServerEnds(t *testing.T) {
	t.Parallel()
	for _, words := range []string{
		"SHOW transaction_read_only", // a connection's first statements
		"SET statement_timeout", "SET lock_timeout", "FROM inner_platform",
	} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			requireEnds(t, testdatabase.NewEmpty(t), words)
		})
	}
}

func TestMigrationEndsWhenServerFreezesAtLockHolders(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	older(t, db)
	transaction(t, db.DB, sql.LevelDefault, `SELECT count(*) FROM console_tasks`)
	requireEnds(t, db, "pg_stat_activity")
}

// requireEnds requires that a migration ends whose server does not answer statements that contain the words.
func requireEnds(t *testing.T, db *testdatabase.Database, words string) {
	t.Helper()
	p := proxy.New(t, db.Config.Database.DSN.Reveal())
	p.Silence(words)
	c := testdatabase.Config(t, p.DSN)
	c.Database.ConnectTimeout = 5 * time.Second
	pool, err := database.Open(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	ended := make(chan error, 1)
	go func() { ended <- database.Migrate(t.Context(), pool) }()
	select {
	case err := <-ended:
		require.ErrorContains(t, err, "not answer")
	case <-time.After(longest):
		require.Fail(t, "it waits for ever")
	}
}
