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

func TestAMigrationWhoseServerFreezesEnds(t *testing.T) {
	t.Parallel()
	for _, words := range []string{
		"SHOW transaction_read_only", // a connection's first statements
		"SET statement_timeout", "SET lock_timeout", "FROM inner_platform",
	} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			p := proxy.New(t, testdatabase.NewEmpty(t).Config.Database.DSN.Reveal())
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
		})
	}
}

func TestAMigrationWhoseServerFreezesWhileItAsksWhoHoldsALockEnds(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	older(t, db)
	transaction(t, db.DB, sql.LevelDefault, `SELECT count(*) FROM console_tasks`)
	p := proxy.New(t, db.Config.Database.DSN.Reveal())
	p.Silence("pg_stat_activity")
	pool, err := database.Open(testdatabase.Config(t, p.DSN))
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
