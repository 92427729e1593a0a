package limits_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/audit/internal/limits"
)

func TestDeletionsAreRefusedWhenMoreThanTheShareIsGone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		now, before int64
		share       float64
		refused     bool
	}{
		{0, 0, 0.2, false}, {1, 0, 0.2, false}, {100, 100, 0.2, false}, {120, 100, 0.2, false},
		{80, 100, 0.2, false}, {79, 100, 0.2, true}, {0, 100, 0.2, true}, {0, 1, 1, true}, {1, 100, 1, false},
	} {
		require.Equal(t, c.refused, limits.Refusal("user", c.now, c.before, c.share) != "", "%+v", c)
	}
}

func TestTheShareOfDeletionsIsRoundedUp(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 0, limits.OfShare(0, 0.1))
	require.EqualValues(t, 1, limits.OfShare(1, 0.1))
	require.EqualValues(t, 2, limits.OfShare(11, 0.1))
	require.EqualValues(t, 10, limits.OfShare(10, 1))
}
