// Package loop is the controller's work queue: names of WorkerApps, and the goroutines that work on them.
package loop

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"

	"app238.com/inner/app/config"
	"app238.com/inner/app/observe"
)

// Queue holds names that wait for their turn, each once. Names that fail wait longer each time, each for itself.
type Queue struct {
	items workqueue.TypedRateLimitingInterface[string]
}

// NewQueue makes a queue, whose goroutines run until it is shut down.
func NewQueue(c config.Controller) *Queue {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](c.RetryDelay, c.RetryDelayMax)
	return &Queue{items: workqueue.NewTypedRateLimitingQueue(limiter)}
}

// Add has name worked on soon.
func (q *Queue) Add(name string) { q.items.Add(name) }

// ShutDown ends the queue's own goroutines and, once the item at hand is done, those that Work on it.
func (q *Queue) ShutDown() { q.items.ShutDown() }

// Process works on one name. It returns after how long to look again, zero for never.
type Process func(ctx context.Context, name string) (time.Duration, error)

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
				if stopping.Err() == nil {
					q.one(ctx, name, process, log)
				}
				q.items.Done(name)
			}
		})
	}
	workers.Wait()
}

func (q *Queue) one(ctx context.Context, name string, process Process, log *zap.Logger) {
	again, err := guarded(ctx, name, process)
	if err == nil {
		q.items.Forget(name)
		if again > 0 {
			q.items.AddAfter(name, again)
		}
		return
	}
	if ctx.Err() == nil {
		logFailure(log, name, err, q.items.NumRequeues(name)+1)
	}
	q.items.AddRateLimited(name)
}

func logFailure(log *zap.Logger, name string, err error, failures int) {
	fields := []zap.Field{zap.String("app", name), zap.Int("failures", failures), observe.Error(err)}
	switch {
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err):
		log.Debug("object changed meanwhile; looking again", fields...)
	case panicked(err):
		log.Error("reconcile panicked; trying again", fields...)
	default:
		log.Warn("reconcile failed; trying again", fields...)
	}
}

// panicError is a panic turned into an error: one WorkerApp must not end the process.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

func panicked(err error) bool {
	_, ok := errors.AsType[*panicError](err)
	return ok
}

func guarded(ctx context.Context, name string, process Process) (again time.Duration, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: debug.Stack()}
		}
	}()
	return process(ctx, name)
}
