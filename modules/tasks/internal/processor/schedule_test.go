package processor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLongWorkRestsEvenWhenRequested(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := schedule{factor: 10, mostRest: time.Minute}
		due := func(after time.Duration, requested bool) bool {
			<-time.After(after)
			return s.due(time.Now(), requested)
		}
		require.True(t, due(0, false), "the first time")
		s.ran(time.Millisecond, time.Second)
		require.False(t, due(9*time.Millisecond, true))
		require.True(t, due(time.Millisecond, false), "the request lasts")
		s.ran(time.Millisecond, time.Second)
		require.False(t, due(999*time.Millisecond, false))
		require.True(t, due(time.Millisecond, false))
		s.ran(2*time.Second, time.Second)
		require.False(t, due(19*time.Second, true))
		require.True(t, due(time.Second, false))
		s.ran(time.Hour, time.Second)
		require.True(t, due(time.Minute, false), "at most")
	})
}
