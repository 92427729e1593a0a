package steal

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStolenTimeIsCountedOnce(t *testing.T) {
	t.Parallel()
	before, err := parse([]byte("cpu  100 0 50 800 0 0 0 50 40 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"))
	require.NoError(t, err)
	require.Equal(t, Meter{taken: 50, all: 1000}, before)
	for _, malformed := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8 9", "cpu a 0 0 0 0 0 0 0"} {
		_, err := parse([]byte(malformed))
		require.Error(t, err, malformed)
	}
}

func TestThisMachineIsMeasured(t *testing.T) {
	t.Parallel()
	m, err := Start()
	require.NoError(t, err)
	taken, err := m.Taken()
	require.NoError(t, err)
	require.GreaterOrEqual(t, taken, 0.0)
	require.LessOrEqual(t, taken, 1.0)
}

func TestSampleWithLeastStealCounts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		taken []float64
		tries int
		best  int
	}{
		"the first was quiet":  {[]float64{0.05}, 3, 1},
		"the second was quiet": {[]float64{0.2, 0.01}, 3, 2},
		"none was":             {[]float64{0.3, 0.1, 0.2}, 3, 2},
		"one try":              {[]float64{0.9}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			measured, reported := 0, 0
			best, err := quietest(test.tries, func() (int, float64, error) {
				measured++
				return measured, test.taken[measured-1], nil
			}, func(try, found int, taken float64) {
				reported++
				require.Equal(t, reported, try)
				require.Equal(t, try, found)
				require.InDelta(t, test.taken[try-1], taken, 0)
			})
			require.NoError(t, err)
			require.Equal(t, test.best, best)
			require.Equal(t, len(test.taken), measured)
		})
	}
	broken := errors.New("broken")
	_, err := Quietest(3, func() (int, error) { return 0, broken }, func(int, int, float64) { t.Error("a failed try was reported") })
	require.ErrorIs(t, err, broken)
}
