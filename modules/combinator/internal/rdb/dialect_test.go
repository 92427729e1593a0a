package rdb

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/testdatabase"
)

// No test sends the statements for CockroachDB to one, so CockroachDB's own parser checks them.
func TestCockroachStatementsParse(t *testing.T) {
	t.Parallel()
	require.NoError(t, testdatabase.Check(t, cockroach.sizes))
	require.NoError(t, testdatabase.Check(t, cockroach.roles))
	require.NoError(t, testdatabase.Check(t, cockroach.usedSchemas))
	require.NoError(t, testdatabase.Check(t, cockroach.markRole("r", "inner-gateway 0123456789abcdef u1")))
	require.Empty(t, cockroach.createClosedSuffix+cockroach.allowConnections)
	require.Nil(t, cockroach.connectionLimit)
	require.Empty(t,
		cockroach.sessionsHolding+cockroach.sessionsWriting+cockroach.sessionsOf+cockroach.databasesOf+cockroach.dependsOnRole+
			cockroach.roleVerifiers+
			cockroach.dropForce+cockroach.lockTimeout)
	require.Nil(t, cockroach.unlinkLargeObjects)
	require.Nil(t, cockroach.dependents)
	require.Nil(t, cockroach.assertFewObjects)
	require.Empty(t, cockroach.dropStatements)
	require.Empty(t, cockroach.maintenance)
	require.Nil(t, cockroach.sizesOf)
	require.Error(t, testdatabase.Check(t, postgres.connectionLimit("r", 1)), "why it is not for CockroachDB")
}
