package queue

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/encryption"
	"app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/test/testdatabase"
)

func TestBatchedCommitsReleasePayloads(t *testing.T) {
	t.Parallel()
	b := newBatcher(nil, claims.NewTracker(&config.Config{}), nil, nil, nil)
	var payloads []weak.Pointer[request]
	for range maxBatch + 2 {
		a := &request{task: store.NewTask{Info: make([]byte, 1<<10)}}
		payloads, b.waiting = append(payloads, weak.Make(a)), append(b.waiting, a)
	}
	for _, size := range []int{maxBatch, 2} {
		require.Len(t, b.gather(size), size)
		runtime.GC()
		for _, payload := range payloads[:size] {
			require.Nil(t, payload.Value(), "after a commit of %d", size)
		}
		payloads = payloads[size:]
	}
	require.Empty(t, b.gather(0))
	runtime.KeepAlive(b)
}

func TestFailedGatherWaitsAreSkipped(t *testing.T) {
	t.Parallel()
	b := newBatcher(nil, claims.NewTracker(&config.Config{}), nil, nil, nil)
	commit := func() (waited bool) {
		b.waiting = append(b.waiting, &request{})
		before := b.skipsLeft
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
	// The clients send again, in time unless the machine is busy.
	require.Eventually(t, func() bool {
		b.skipsLeft = 0
		b.waiting = append(b.waiting, &request{})
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
		return size > 1 && b.skips == 0
	}, 30*time.Second, time.Millisecond)
}

// add adds n requests while they are expected.
func (b *batcher) add(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.expected == 0 {
		return false
	}
	for range n {
		b.waiting = append(b.waiting, &request{})
	}
	b.arrived <- struct{}{}
	return true
}

func TestCancelledAcceptIsNotCommitted(t *testing.T) {
	t.Parallel()
	b := newBatcher(nil, claims.NewTracker(&config.Config{}), nil, nil, nil)
	ctxDone := make(chan struct{})
	close(ctxDone)
	stays := &request{}
	b.waiting = []*request{{ctxDone: ctxDone}, stays, {ctxDone: ctxDone}}
	require.Equal(t, []*request{stays}, b.gather(0))
	b.waiting = []*request{{ctxDone: ctxDone}}
	require.Empty(t, b.gather(0))
}

func TestBatchSizeIsLimited(t *testing.T) {
	t.Parallel()
	b := newBatcher(nil, claims.NewTracker(&config.Config{}), nil, nil, nil)
	for _, size := range []int{1 << 20, 1 << 20, 1 << 20, 1 << 20, 1, 9 << 20, 1} {
		b.waiting = append(b.waiting, &request{task: store.NewTask{Info: make([]byte, size)}})
	}
	var sizes []int
	for batch := b.gather(0); len(batch) > 0; batch = b.gather(0) {
		sizes = append(sizes, len(batch))
	}
	require.Equal(t, []int{4, 1, 1, 1}, sizes)
}

func TestRefusedRequestFailsAloneInItsBatch(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "what refuses is not a statement of Inner's")
	db := testdatabase.New(t)
	rawDB, err := database.Open(db.Config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = rawDB.Close() })
	_, err = rawDB.ExecContext(t.Context(), `ALTER TABLE console_tasks ADD CHECK (task_info NOT LIKE '%refused%')`)
	require.NoError(t, err)
	keyring, err := encryption.New(db.Config)
	require.NoError(t, err)
	m, err := metrics.New(prometheus.NewRegistry())
	require.NoError(t, err)
	q := New(registry.New(), store.New(db.DB, db.Prepared, keyring, db.Config), claims.NewTracker(db.Config), m, nil)
	var batch []*request
	for _, text := range []string{"a", "refused", "b", "c", "d"} {
		batch = append(batch,
			&request{task: store.NewTask{Type: "test", Lane: "default", OrderingKey: "k", Info: []byte(`{"text":"` + text + `"}`)}})
	}
	q.batcher.commitAll(t.Context(), batch)
	last := int64(0)
	for i, a := range batch {
		if i == 1 {
			require.Error(t, a.err)
			continue
		}
		require.NoError(t, a.err)
		require.Greater(t, a.id, last, "in their order")
		last = a.id
	}
}
