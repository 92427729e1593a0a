package auditor

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeletionsAreRefusedAfterTooManyRowsVanish(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rows, earlier int64
		share         float64
		refused       bool
	}{
		{0, 0, 0.2, false}, {1, 0, 0.2, false}, {100, 100, 0.2, false}, {120, 100, 0.2, false},
		{80, 100, 0.2, false}, {79, 100, 0.2, true}, {0, 100, 0.2, true}, {0, 1, 1, true}, {1, 100, 1, false},
	} {
		require.Equal(t, c.refused, refuseDeletions("user", c.rows, c.earlier, c.share) != "", "%+v", c)
	}
}

func TestDeletionLimitIsRoundedUp(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 0, deletionLimit(0, 0.1))
	require.EqualValues(t, 1, deletionLimit(1, 0.1))
	require.EqualValues(t, 2, deletionLimit(11, 0.1))
	require.EqualValues(t, 10, deletionLimit(10, 1))
}

func TestEachKindHasAShareOfTheDeletions(t *testing.T) {
	t.Parallel()
	require.Equal(t, 100, totalLimit(100, 1, 0))
	for remaining, limit := range []int{100, 90, 80, 70, 60} {
		require.Equal(t, limit, totalLimit(100, 5, remaining), "%d of 5 kinds remain", remaining)
	}
	require.Equal(t, 1, totalLimit(1, 5, 4), "a maximum that cannot be shared")
}
