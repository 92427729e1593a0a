package memory

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestShareOfGarbageFallsWithLiveHeap(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		live                 uint64
		configured, expected int
	}{
		"nothing collected yet":     {0, 200, 200},
		"small heap":                {10 << 20, 200, 200},
		"allowance":                 {96 << 20, 200, 100},
		"twice the allowance":       {192 << 20, 200, 50},
		"large heap":                {4 << 30, 200, minPercent},
		"configured for less":       {4 << 30, 20, 20},
		"configured below a share":  {96 << 20, 50, 50},
		"configured for everything": {1, 1 << 30, 1 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.expected, percentFor(test.live, test.configured))
		})
	}
}

// percent returns the current share.
func percent() int {
	now := debug.SetGCPercent(-1)
	debug.SetGCPercent(now)
	return now
}

// No other test of this package runs beside it: the share is the process's.
func TestCollectionsAdjustShare(t *testing.T) {
	t.Setenv("GOGC", "200")
	before := percent()
	t.Cleanup(func() { debug.SetGCPercent(before) })
	stop := LimitGarbage()
	live := make([]byte, 2*allowance)
	require.Eventually(t, func() bool {
		runtime.GC()
		return percent() <= 50
	}, time.Minute, time.Millisecond)
	runtime.KeepAlive(live)
	require.Eventually(t, func() bool {
		runtime.GC()
		return percent() > 100
	}, time.Minute, time.Millisecond)
	stop()
	require.Equal(t, 200, percent())
}

func TestCollectorThatIsOffStaysOff(t *testing.T) {
	t.Setenv("GOGC", "off")
	before := percent()
	LimitGarbage()()
	require.Equal(t, before, percent())
}
