// Package workqueue is the work queue of the controllers: names of objects to reconcile, and the goroutines that reconcile
// them. A panic counts as an error.
package workqueue

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/util/workqueue"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/logging"
)

// Queue holds each waiting name once: changed names before the backlog. Failing names back off exponentially, and names that
// are written too often are rate limited, each on its own.
type Queue struct {
	items      workqueue.TypedRateLimitingInterface[string]
	priorities *priorities
	// writes and specChanges limit how often a name is written, and how often its changed spec skips that limit.
	writes, specChanges *rateLimit
	now                 func() time.Time
}

// NewQueue returns a queue whose goroutines run until ShutDown.
func NewQueue(c config.Controller) *Queue {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](c.RetryDelay, c.RetryDelayMax)
	priorities := newPriorities()
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[string]{
		Queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[string]{Queue: priorities}),
	})
	return &Queue{
		items: workqueue.NewTypedRateLimitingQueueWithConfig(limiter,
			workqueue.TypedRateLimitingQueueConfig[string]{DelayingQueue: delaying}),
		priorities: priorities, now: time.Now,
		writes: newRateLimit(c.WriteRateLimit), specChanges: newRateLimit(c.WriteRateLimit),
	}
}

// SetGroups sets the function that returns the group of a name. The groups take turns, so that no name waits for all names of
// another group. It is called before names are added; group must be fast and must not call the queue.
func (q *Queue) SetGroups(group func(name string) string) {
	q.priorities.mu.Lock()
	defer q.priorities.mu.Unlock()
	q.priorities.group = group
}

// AddSpecChange adds name before the backlog and resets its write limit. A spec that changes too often is rate limited
// itself.
func (q *Queue) AddSpecChange(name string) {
	now := q.now()
	if wait := q.specChanges.wait(name, now); wait > 0 {
		q.items.AddAfter(name, wait)
		return
	}
	q.specChanges.take(name, now)
	q.writes.reset(name)
	q.enqueue(name)
}

// Add adds name before the backlog, after a delay if it was written too often.
func (q *Queue) Add(name string) {
	if wait := q.writes.wait(name, q.now()); wait > 0 {
		q.items.AddAfter(name, wait)
		return
	}
	q.enqueue(name)
}

// AddAfter is Add after a delay, which batches events in quick succession.
func (q *Queue) AddAfter(name string, after time.Duration) {
	wait := q.writes.wait(name, q.now())
	if wait == 0 {
		q.priorities.promote(name)
	}
	q.items.AddAfter(name, max(after, wait))
}

func (q *Queue) enqueue(name string) {
	q.priorities.promote(name)
	q.items.Add(name)
}

// AddBacklog adds name behind all changes.
func (q *Queue) AddBacklog(name string) { q.items.Add(name) }

// Len returns the number of waiting names.
func (q *Queue) Len() int { return q.items.Len() }

// ShutDown stops the queue's own goroutines, and those of Run once their current item is done.
func (q *Queue) ShutDown() { q.items.ShutDown() }

// Result is the result of one reconcile.
type Result struct {
	// RequeueAfter is the delay until the next reconcile, zero for none.
	RequeueAfter time.Duration
	// Written means that the reconcile wrote to the cluster.
	Written bool
}

// ReconcileFunc reconciles one name.
type ReconcileFunc func(ctx context.Context, name string) (Result, error)

// Run has n goroutines reconcile names until ShutDown, and returns when they have ended. Once stopping is done, waiting names
// are dropped; ctx also cancels running reconciles.
func (q *Queue) Run(ctx, stopping context.Context, n int, reconcile ReconcileFunc, log *zap.Logger) {
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() {
			for {
				name, shutDown := q.items.Get()
				if shutDown {
					return
				}
				if stopping.Err() == nil && ctx.Err() == nil {
					q.processItem(ctx, name, reconcile, log)
				}
				q.items.Done(name)
			}
		})
	}
	workers.Wait()
}

func (q *Queue) processItem(ctx context.Context, name string, reconcile ReconcileFunc, log *zap.Logger) {
	urgent := q.priorities.demote(name)
	result, err := callReconcile(ctx, name, reconcile)
	if result.Written {
		q.writes.take(name, q.now())
	}
	if err == nil {
		q.items.Forget(name)
		if result.RequeueAfter > 0 {
			q.items.AddAfter(name, result.RequeueAfter)
		}
		return
	}
	if ctx.Err() == nil {
		logFailure(log, name, err, q.items.NumRequeues(name)+1)
	}
	if urgent {
		q.priorities.promote(name)
	}
	q.items.AddRateLimited(name)
}

func logFailure(log *zap.Logger, name string, err error, failures int) {
	fields := []zap.Field{zap.String("name", name), zap.Int("failures", failures), logging.Error(err)}
	switch {
	case kube.IsConflict(err):
		log.Debug("object changed concurrently", fields...)
	case panicked(err):
		log.Error("reconcile panicked", fields...)
	default:
		log.Warn("reconcile failed", fields...)
	}
}

func panicked(err error) bool {
	_, ok := errors.AsType[*guard.PanicError](err)
	return ok
}

func callReconcile(ctx context.Context, name string, reconcile ReconcileFunc) (result Result, err error) {
	err = guard.Call(func() error {
		result, err = reconcile(ctx, name)
		return err
	})
	return result, err
}
