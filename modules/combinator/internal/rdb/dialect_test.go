package rdb

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/testdatabase"
)

// What is for CockroachDB alone is sent by no test here, so its own parser looks at it.
func TestWhatIsForCockroachDBAloneParses(t *testing.T) {
	t.Parallel()
	require.NoError(t, testdatabase.Check(t, cockroach.sizes))
	require.NoError(t, testdatabase.Check(t, cockroach.roles))
	require.NoError(t, testdatabase.Check(t, cockroach.usedSchemas))
	require.NoError(t, testdatabase.Check(t, cockroach.markRole("r", "inner-gateway 0123456789abcdef u1")))
	require.Empty(t, cockroach.createClosed+cockroach.admit)
	require.Nil(t, cockroach.connectionLimit)
	require.Empty(t, cockroach.holding+cockroach.writing+cockroach.of+cockroach.databasesOf+cockroach.dependsOnRole+cockroach.keptVerifiers+
		cockroach.disconnecting+cockroach.lockTimeout)
	require.Nil(t, cockroach.unlink)
	require.Nil(t, cockroach.neededBy)
	require.Nil(t, cockroach.unlessCrowded)
	require.Empty(t, cockroach.parts)
	require.Empty(t, cockroach.maintenance)
	require.Nil(t, cockroach.sizesOf)
	require.Error(t, testdatabase.Check(t, postgres.connectionLimit("r", 1)), "why it is not for CockroachDB")
}
