package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/testdatabase"
)

// Since 25.1 CockroachDB commits a transaction before a schema change.
func TestMigrateWithAutocommitBeforeDDL(t *testing.T) {
	t.Parallel()
	behind := testdatabase.NewEmpty(t)
	db, _ := behind.AsCockroachDB(t)
	require.NoError(t, database.Migrate(t.Context(), db.DB), "on an empty database")
	require.NoError(t, database.Migrate(t.Context(), db.DB), "with nothing to do")
	require.Contains(t, columns(t, behind.DB, "console_tasks"), "ordering_key")
}
