package queue

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
)

func TestSharedCommitsKeepNoBodiesAlive(t *testing.T) {
	t.Parallel()
	b := &batches{enough: make(chan struct{}, 1)}
	var bodies []weak.Pointer[accept]
	for range maxBatch + 2 {
		a := &accept{task: store.NewTask{Info: make([]byte, 1<<10)}}
		bodies, b.waiting = append(bodies, weak.Make(a)), append(b.waiting, a)
	}
	for _, size := range []int{maxBatch, 2} {
		require.Len(t, b.gather(size), size)
		runtime.GC()
		for _, body := range bodies[:size] {
			require.Nil(t, body.Value(), "after a commit of %d", size)
		}
		bodies = bodies[size:]
	}
	require.Empty(t, b.gather(0))
	runtime.KeepAlive(b)
}

func TestWhoDoesNotComeAgainIsWaitedForMoreAndMoreRarely(t *testing.T) {
	t.Parallel()
	b := &batches{enough: make(chan struct{}, 1)}
	commit := func() (waited bool) {
		b.waiting = append(b.waiting, &accept{})
		before := b.rest
		require.Len(t, b.gather(16), 1)
		return before == 0
	}
	waits := 0
	for range 100 {
		if commit() {
			waits++
		}
	}
	require.Less(t, waits, 10, "of 100 commits")
	// They come again, in time unless the machine is busy.
	require.Eventually(t, func() bool {
		b.rest = 0
		b.waiting = append(b.waiting, &accept{})
		var coming sync.WaitGroup
		var over atomic.Bool
		coming.Go(func() {
			for !b.add(15) && !over.Load() {
				runtime.Gosched()
			}
		})
		size := len(b.gather(16))
		over.Store(true)
		coming.Wait()
		return size > 1 && b.vain == 0
	}, 30*time.Second, time.Millisecond)
}

// add has n accepts come while they are waited for.
func (b *batches) add(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.want == 0 {
		return false
	}
	b.waiting = append(b.waiting, make([]*accept, n)...)
	b.enough <- struct{}{}
	return true
}
