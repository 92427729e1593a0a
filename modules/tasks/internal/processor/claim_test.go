package processor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPollsAreFrequentWhileTheyFindTasks(t *testing.T) {
	t.Parallel()
	interval := nextInterval(time.Second, time.Second, true)
	require.Equal(t, time.Second/busyPollShare, interval)
	require.Equal(t, interval, nextInterval(interval, time.Second, true))
	for range 3 {
		interval = nextInterval(interval, time.Second, false)
	}
	require.Equal(t, time.Second/2, interval)
	require.Equal(t, time.Second, nextInterval(nextInterval(interval, time.Second, false), time.Second, false))
}
