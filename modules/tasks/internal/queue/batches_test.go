package queue

import (
	"runtime"
	"testing"
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
