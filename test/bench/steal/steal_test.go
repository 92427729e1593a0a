package steal

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTimeThatTheHostGaveToOthersIsCountedOnce(t *testing.T) {
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
