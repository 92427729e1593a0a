package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/testdatabase"
)

func TestProbeNamesFullDisk(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	fill := testdatabase.SmallDisk(t, db)
	require.NoError(t, database.ProbeWrite(t.Context(), db.DB, db.Config), "there is space")
	require.Contains(t, database.Explain(fill()), "no disk space left")
	require.Contains(t, database.Explain(database.ProbeWrite(t.Context(), db.DB, db.Config)), "no disk space left (SQLSTATE 53100)")
}
