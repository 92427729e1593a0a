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

// journal notes names in the order in which one worker takes them; the first waits until it is released.
type journal struct {
	release chan struct{}

	mu    sync.Mutex
	names []string
}

func (j *journal) process(_ context.Context, name string) (workqueue.Result, error) {
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
	b := setupWith(t, 1, config.SlowDown{Burst: 100, Interval: time.Second}, j.process)
	b.queue.AddBacklog("first")
	await(t, "the first is under way", func() bool { return b.queue.Len() == 0 })
	return b, j
}

func TestWhatChangedGoesBeforeTheBacklog(t *testing.T) {
	t.Parallel()
	b, j := setupOrder(t)
	for _, name := range []string{"a", "b", "c"} {
		b.queue.AddBacklog(name)
	}
	b.queue.Add("fresh")
	b.queue.AddSpecChange("spec")
	b.queue.Add("c") // it waits already, and has now changed
	require.Equal(t, 5, b.queue.Len())
	close(j.release)
	await(t, "all worked on", func() bool { return len(j.order()) == 6 })
	require.Equal(t, []string{"first", "fresh", "spec", "c", "a", "b"}, j.order())
}

func TestOwnersOfNamesTakeTurns(t *testing.T) {
	t.Parallel()
	b, j := setupOrder(t)
	b.queue.TakeTurns(func(name string) string { return name[:1] })
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
	await(t, "all worked on", func() bool { return len(j.order()) == 11 })
	require.Equal(t, []string{"first", "c0", "d0", "a4", "c1", "c2", "a0", "b0", "a1", "a2", "a3"}, j.order())
}

func TestTheBacklogIsNotStarved(t *testing.T) {
	t.Parallel()
	b, j := setupOrder(t)
	b.queue.AddBacklog("patient")
	for i := range 100 {
		b.queue.Add(fmt.Sprint(i))
	}
	close(j.release)
	await(t, "all worked on", func() bool { return len(j.order()) == 102 })
	require.Less(t, slices.Index(j.order(), "patient"), 30)
}

func TestANameThatIsWrittenAgainAndAgainIsSlowedDownAlone(t *testing.T) {
	t.Parallel()
	var flaps, calm atomic.Int32
	const burst = 5
	b := setupWith(t, 2, config.SlowDown{Burst: burst, Interval: time.Hour}, func(_ context.Context, name string) (workqueue.Result, error) {
		if name == "flaps" {
			flaps.Add(1)
			return workqueue.Result{Wrote: true}, nil
		}
		calm.Add(1)
		return workqueue.Result{}, nil
	})
	for i := range burst {
		b.queue.Add("flaps")
		await(t, "written", func() bool { return flaps.Load() == int32(i+1) })
	}
	b.queue.Add("flaps")
	for i := range 50 {
		b.queue.Add("calm")
		await(t, "looked at", func() bool { return calm.Load() == int32(i+1) })
	}
	require.EqualValues(t, burst, flaps.Load(), "it has to wait")
	b.queue.AddSpecChange("flaps")
	await(t, "a new spec does not", func() bool { return flaps.Load() == burst+1 })
}

func TestASpecThatChangesAgainAndAgainIsSlowedDown(t *testing.T) {
	t.Parallel()
	var looks atomic.Int32
	const burst = 5
	b := setupWith(t, 1, config.SlowDown{Burst: burst, Interval: time.Hour}, func(context.Context, string) (workqueue.Result, error) {
		looks.Add(1)
		return workqueue.Result{Wrote: true}, nil
	})
	for i := range burst {
		b.queue.AddSpecChange("restless")
		await(t, "looked at", func() bool { return looks.Load() == int32(i+1) })
	}
	b.queue.AddSpecChange("restless")
	b.queue.AddSpecChange("other")
	await(t, "the other one is not held up", func() bool { return looks.Load() == burst+1 })
	require.Zero(t, b.queue.Len())
}

func TestASlowedNameGoesOnInTime(t *testing.T) {
	t.Parallel()
	var flaps atomic.Int32
	b := setupWith(t, 1, config.SlowDown{Burst: 1, Interval: 20 * time.Millisecond}, func(context.Context, string) (workqueue.Result, error) {
		flaps.Add(1)
		return workqueue.Result{Wrote: true}, nil
	})
	b.queue.Add("flaps")
	await(t, "written", func() bool { return flaps.Load() == 1 })
	b.queue.Add("flaps")
	await(t, "written again", func() bool { return flaps.Load() == 2 })
}
