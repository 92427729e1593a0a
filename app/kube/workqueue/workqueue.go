// Package workqueue is the one work queue of those who reconcile: names of what is to be brought to its desired state, and the
// goroutines that do so. What panics is an error like another.
package workqueue

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/observe"
)

// Queue holds names that wait for their turn, each once: what just changed before what is only to be looked at. Names that
// fail wait longer each time, and names that are written too often wait too, each for itself.
type Queue struct {
	items      workqueue.TypedRateLimitingInterface[string]
	priorities *priorities
	// writes and specChanges slow down names that are written, or of which something else is desired, too often.
	writes, specChanges *rateLimit
	now                 func() time.Time
}

// NewQueue makes a queue, whose goroutines run until it is shut down.
func NewQueue(c config.Controller) *Queue {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](c.RetryDelay, c.RetryDelayMax)
	priorities := newPriorities()
	delaying := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[string]{
		Queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[string]{Queue: priorities}),
	})
	return &Queue{
		items:      workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[string]{DelayingQueue: delaying}),
		priorities: priorities, now: time.Now,
		writes: newRateLimit(c.SlowDown), specChanges: newRateLimit(c.SlowDown),
	}
}

// TakeTurns has the owners of names worked for by turns: nobody waits behind all names of another. It is called before names are
// added; owner must be quick, and must not call the queue.
func (q *Queue) TakeTurns(owner func(name string) string) {
	q.priorities.mu.Lock()
	defer q.priorities.mu.Unlock()
	q.priorities.owner = owner
}

// AddSpecChange has name worked on before everything that waits without an occasion. However often it was written before, it
// begins anew; but a spec that itself changes again and again has to wait.
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

// Add has name worked on like AddSpecChange, unless it has been written so often that it has to wait.
func (q *Queue) Add(name string) {
	if wait := q.writes.wait(name, q.now()); wait > 0 {
		q.items.AddAfter(name, wait)
		return
	}
	q.enqueue(name)
}

// AddAfter has name worked on like Add, but not before this time has passed: for events that come one right after the other.
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

// AddBacklog has name worked on when nothing changes elsewhere.
func (q *Queue) AddBacklog(name string) { q.items.Add(name) }

// Len returns how many names wait.
func (q *Queue) Len() int { return q.items.Len() }

// ShutDown ends the queue's own goroutines and, once the item at hand is done, those that Work on it.
func (q *Queue) ShutDown() { q.items.ShutDown() }

// Result is what came of a look.
type Result struct {
	// Again is after how long to look again, zero for never.
	Again time.Duration
	// Wrote tells that something was written.
	Wrote bool
}

// Process works on one name.
type Process func(ctx context.Context, name string) (Result, error)

// Work has n goroutines process names until the queue is shut down, and returns then. When stopping ends, what still
// waits in the queue is left; when ctx ends, what is being processed is told to stop too.
func (q *Queue) Work(ctx, stopping context.Context, n int, process Process, log *zap.Logger) {
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() {
			for {
				name, shutDown := q.items.Get()
				if shutDown {
					return
				}
				if stopping.Err() == nil && ctx.Err() == nil {
					q.one(ctx, name, process, log)
				}
				q.items.Done(name)
			}
		})
	}
	workers.Wait()
}

func (q *Queue) one(ctx context.Context, name string, process Process, log *zap.Logger) {
	urgent := q.priorities.demote(name)
	result, err := guarded(ctx, name, process)
	if result.Wrote {
		q.writes.take(name, q.now())
	}
	if err == nil {
		q.items.Forget(name)
		if result.Again > 0 {
			q.items.AddAfter(name, result.Again)
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
	fields := []zap.Field{zap.String("name", name), zap.Int("failures", failures), observe.Error(err)}
	switch {
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err):
		log.Debug("object changed meanwhile; looking again", fields...)
	case panicked(err):
		log.Error("reconcile panicked; trying again", fields...)
	default:
		log.Warn("reconcile failed; trying again", fields...)
	}
}

func panicked(err error) bool {
	_, ok := errors.AsType[*guard.PanicError](err)
	return ok
}

func guarded(ctx context.Context, name string, process Process) (result Result, err error) {
	err = guard.Call(func() error {
		result, err = process(ctx, name)
		return err
	})
	return result, err
}
