package pipeline

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOnlyASlowWriteIsReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New()
		var begun atomic.Int64
		next := func() { begun.Add(1) }
		p.Enter()
		require.False(t, p.Run(func() { <-time.After(slow - 1) }, next))
		<-time.After(2 * slow)
		require.Zero(t, begun.Load())
		p.Enter()
		require.True(t, p.Run(func() { <-time.After(3 * slow) }, next))
		require.EqualValues(t, 1, begun.Load())
	})
}

func TestWritesUnderWayAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, stuck, ended := New(), make(chan struct{}), make(chan struct{})
		var writes atomic.Int64
		var loop func()
		loop = func() {
			p.Enter()
			select {
			case <-stuck:
				p.Leave()
				close(ended)
				return
			default:
			}
			writes.Add(1)
			p.Run(func() { <-stuck }, loop)
		}
		go loop()
		<-time.After(10 * limit * slow)
		require.EqualValues(t, limit, writes.Load())
		close(stuck)
		<-ended
	})
}
