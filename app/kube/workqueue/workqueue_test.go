package workqueue_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube/workqueue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type bundle struct {
	abort, stop context.CancelFunc
	ended       chan struct{}
	logs        *observer.ObservedLogs
	queue       *workqueue.Queue
}

// setup runs a queue with two workers until the test ends.
func setup(t *testing.T, reconcile workqueue.ReconcileFunc) bundle {
	t.Helper()
	return setupWith(t, 2, config.WriteRateLimit{Burst: 100, Interval: time.Second}, reconcile)
}

func setupWith(t *testing.T, workers int, writeRateLimit config.WriteRateLimit, reconcile workqueue.ReconcileFunc) bundle {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	working, abort := context.WithCancel(context.Background())
	stopping, stop := context.WithCancel(context.Background())
	b := bundle{abort: abort, stop: stop, ended: make(chan struct{}), logs: logs,
		queue: workqueue.NewQueue(config.Controller{RetryDelay: time.Millisecond, RetryDelayMax: 10 * time.Millisecond,
			WriteRateLimit: writeRateLimit})}
	go func() {
		defer close(b.ended)
		b.queue.Run(working, stopping, workers, reconcile, zap.New(core))
	}()
	t.Cleanup(func() {
		b.stop()
		b.queue.ShutDown()
		b.abort()
		<-b.ended
	})
	return b
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 10*time.Second, time.Millisecond, what)
}

func TestPanicIsRetriedAndBlocksNoOtherName(t *testing.T) {
	t.Parallel()
	var bad, good atomic.Int32
	b := setup(t, func(_ context.Context, name string) (workqueue.Result, error) {
		if name == "bad" && bad.Add(1) < 4 {
			panic("boom")
		}
		good.Add(1)
		return workqueue.Result{}, nil
	})
	b.queue.Add("bad")
	b.queue.Add("good")
	await(t, "both reconciled", func() bool { return good.Load() == 2 })
	panics := b.logs.FilterMessage("reconcile panicked").All()
	require.Len(t, panics, 3)
	require.Contains(t, panics[0].ContextMap()["error"], "boom")
	require.EqualValues(t, 3, panics[2].ContextMap()["failures"])
}

func TestConflictIsRetriedWithoutWarning(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	b := setup(t, func(context.Context, string) (workqueue.Result, error) {
		if tries.Add(1) == 1 {
			return workqueue.Result{}, apierrors.NewConflict(schema.GroupResource{Resource: "workerapps"}, "x", errors.New("changed"))
		}
		return workqueue.Result{}, nil
	})
	b.queue.Add("x")
	await(t, "retried", func() bool { return tries.Load() == 2 })
	require.Zero(t, b.logs.Filter(func(e observer.LoggedEntry) bool { return e.Level > zapcore.DebugLevel }).Len())
}

func TestRequeueAfterRunsReconcileAgain(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	b := setup(t, func(context.Context, string) (workqueue.Result, error) {
		if calls.Add(1) == 1 {
			return workqueue.Result{RequeueAfter: 5 * time.Millisecond}, nil
		}
		return workqueue.Result{}, nil
	})
	b.queue.Add("x")
	await(t, "reconciled again", func() bool { return calls.Load() == 2 })
}

func TestStopFinishesRunningReconcilesAndDropsBacklog(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var worked []string
	started, release := make(chan struct{}, 10), make(chan struct{})
	b := setup(t, func(ctx context.Context, name string) (workqueue.Result, error) {
		started <- struct{}{}
		<-release
		mu.Lock()
		defer mu.Unlock()
		worked = append(worked, name)
		return workqueue.Result{}, ctx.Err()
	})
	for _, name := range []string{"1", "2", "3", "4", "5"} {
		b.queue.Add(name)
	}
	<-started
	<-started
	b.stop()
	b.queue.ShutDown()
	close(release)
	<-b.ended
	mu.Lock()
	defer mu.Unlock()
	require.ElementsMatch(t, []string{"1", "2"}, worked)
	require.Zero(t, b.logs.Len())
}
