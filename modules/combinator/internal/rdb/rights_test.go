package rdb

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/testdatabase"
)

// PostgreSQL looks names up in the present catalog, and reads rows by the snapshot of the query.
func TestConcurrentlyDroppedSchemaIsNoError(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "the snapshot of a query and the look-up of a name differ")
	db := testdatabase.NewEmpty(t)
	var me string
	require.NoError(t, db.QueryRow(`SELECT current_user`).Scan(&me))
	for query, args := range map[string][]any{postgres.usedSchemas: {me}, cockroach.usedSchemas: {me},
		rights: {me, "dropped", "no mark"}} {
		_, err := db.Exec(`CREATE SCHEMA dropped`)
		require.NoError(t, err)
		tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
		require.NoError(t, err)
		require.NoError(t, tx.QueryRow(`SELECT count(*) FROM pg_roles`).Scan(new(int)), "the snapshot")
		_, err = db.Exec(`DROP SCHEMA dropped`)
		require.NoError(t, err)
		_, err = tx.Exec(query, args...)
		require.NoError(t, err)
		require.NoError(t, tx.Rollback())
	}
}
