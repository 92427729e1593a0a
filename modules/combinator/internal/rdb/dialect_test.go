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
	require.Nil(t, cockroach.connectionLimit)
	require.Empty(t, cockroach.disconnect)
	require.Error(t, testdatabase.Check(t, postgres.connectionLimit("r", 1)), "why it is not for CockroachDB")
}
