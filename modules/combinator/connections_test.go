package combinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/testdatabase"
)

func TestConnectionLimitLeavesConnectionsToOthers(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "the limit of a role's connections")
	b := setup(t)
	b.user("u1", "sk_u1")
	b.user("u2", "sk_u2")
	b.createSchema("u1", "r")
	b.createSchema("u2", "r")
	taken := b.login("u1", "sk_u1")
	var err error
	n := 0
	for ; err == nil && n <= 100; n++ {
		_, err = taken.Conn(t.Context())
	}
	require.ErrorContains(t, err, "too many connections for role")
	require.LessOrEqual(t, n, 21)
	require.NoError(t, b.login("u2", "sk_u2").Ping())
}
