package workqueue_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube/workqueue"
)

// journal records the names in the order in which one worker reconciles them; "first" blocks until release is closed.
type journal struct {
	release chan struct{}

	mu    sync.Mutex
	names []string
}

func (j *journal) reconcile(_ context.Context, name string) (workqueue.Result, error) {
	if name == "first" {
		<-j.release
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.names = append(j.names, name)
	return workqueue.Result{}, nil
}

func (j *journal) order() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.names)
}

func setupOrder(t *testing.T) (bundle, *journal) {
	t.Helper()
	j := &journal{release: make(chan struct{})}
	b := setupWith(t, 1, config.WriteRateLimit{Burst: 100, Interval: time.Second}, j.reconcile)
	b.queue.AddBacklog("first")
	await(t, "first is being reconciled", func() bool { return b.queue.Len() == 0 })
	return b, j
}

func TestChangesRunBeforeBacklog(t *testing.T) {
	t.Parallel()
	b, j := setupOrder(t)
	for _, name := range []string{"a", "b", "c"} {
		b.queue.AddBacklog(name)
	}
	b.queue.Add("fresh")
	b.queue.AddSpecChange("spec")
	b.queue.Add("c") // waits in the backlog, and has changed
	require.Equal(t, 5, b.queue.Len())
	close(j.release)
	await(t, "all reconciled", func() bool { return len(j.order()) == 6 })
	require.Equal(t, []string{"first", "fresh", "spec", "c", "a", "b"}, j.order())
}

func TestGroupsTakeTurns(t *testing.T) {
	t.Parallel()
	b, j := setupOrder(t)
	b.queue.SetGroups(func(name string) string { return name[:1] })
	for i := range 5 {
		b.queue.AddBacklog(fmt.Sprint("a", i))
	}
	b.queue.AddBacklog("b0")
	for i := range 3 {
		b.queue.AddSpecChange(fmt.Sprint("c", i))
	}
	b.queue.AddSpecChange("d0")
	b.queue.AddSpecChange("a4")
	close(j.release)
	await(t, "all reconciled", func() bool { return len(j.order()) == 11 })
	require.Equal(t, []string{"first", "c0", "d0", "a4", "c1", "c2", "a0", "b0", "a1", "a2", "a3"}, j.order())
}

func TestBacklogIsNotStarved(t *testing.T) {
	t.Parallel()
	b, j := setupOrder(t)
	b.queue.AddBacklog("patient")
	for i := range 100 {
		b.queue.Add(fmt.Sprint(i))
	}
	close(j.release)
	await(t, "all reconciled", func() bool { return len(j.order()) == 102 })
	require.Less(t, slices.Index(j.order(), "patient"), 30)
}

func TestFrequentWritesDelayThatNameOnly(t *testing.T) {
	t.Parallel()
	var hot, cold atomic.Int32
	const burst = 5
	b := setupWith(t, 2, config.WriteRateLimit{Burst: burst, Interval: time.Hour},
		func(_ context.Context, name string) (workqueue.Result, error) {
			if name == "hot" {
				hot.Add(1)
				return workqueue.Result{Written: true}, nil
			}
			cold.Add(1)
			return workqueue.Result{}, nil
		})
	for i := range burst {
		b.queue.Add("hot")
		await(t, "written", func() bool { return hot.Load() == int32(i+1) })
	}
	b.queue.Add("hot")
	for i := range 50 {
		b.queue.Add("cold")
		await(t, "reconciled", func() bool { return cold.Load() == int32(i+1) })
	}
	require.EqualValues(t, burst, hot.Load(), "it is rate limited")
	b.queue.AddSpecChange("hot")
	await(t, "a new spec is not", func() bool { return hot.Load() == burst+1 })
}

func TestFrequentSpecChangesAreRateLimited(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	const burst = 5
	b := setupWith(t, 1, config.WriteRateLimit{Burst: burst, Interval: time.Hour},
		func(context.Context, string) (workqueue.Result, error) {
			calls.Add(1)
			return workqueue.Result{Written: true}, nil
		})
	for i := range burst {
		b.queue.AddSpecChange("changing")
		await(t, "reconciled", func() bool { return calls.Load() == int32(i+1) })
	}
	b.queue.AddSpecChange("changing")
	b.queue.AddSpecChange("other")
	await(t, "the other one is not delayed", func() bool { return calls.Load() == burst+1 })
	require.Zero(t, b.queue.Len())
}

func TestRateLimitedNameRunsLater(t *testing.T) {
	t.Parallel()
	var hot atomic.Int32
	b := setupWith(t, 1, config.WriteRateLimit{Burst: 1, Interval: 20 * time.Millisecond},
		func(context.Context, string) (workqueue.Result, error) {
			hot.Add(1)
			return workqueue.Result{Written: true}, nil
		})
	b.queue.Add("hot")
	await(t, "written", func() bool { return hot.Load() == 1 })
	b.queue.Add("hot")
	await(t, "written again", func() bool { return hot.Load() == 2 })
}
