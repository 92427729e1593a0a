// Package queue accepts tasks: it checks a payload by its job type and commits the row.
package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// Invalid is a request that no task is made of; its text names the field and is for the client.
type Invalid struct{ Text string }

// Error returns the text.
func (e *Invalid) Error() string { return e.Text }

// ErrKeyReused says that an idempotency key came with a different request before.
var ErrKeyReused = store.ErrKeyReused

// Queue accepts tasks and tells the processor of them.
type Queue struct {
	registry *registry.Registry
	store    *store.Store
	hint     chan struct{}
}

// New returns a queue.
func New(r *registry.Registry, s *store.Store) *Queue {
	return &Queue{registry: r, store: s, hint: make(chan struct{}, 1)}
}

// Accept checks and commits a task given by its type or alias and its payload. With an idempotency key that was
// accepted before it returns the first task's id.
func (q *Queue) Accept(ctx context.Context, jobType string, info []byte, idempotencyKey string) (int64, error) {
	task, err := q.prepare(jobType, info)
	if err != nil {
		return 0, err
	}
	task.IdempotencyKey = idempotencyKey
	id, err := q.store.Insert(ctx, task)
	if err != nil {
		return 0, err
	}
	q.Nudge()
	return id, nil
}

func (q *Queue) prepare(jobType string, info []byte) (store.NewTask, error) {
	definition, ok := q.registry.Find(jobType)
	if !ok {
		return store.NewTask{}, &Invalid{"task_type: unknown"}
	}
	prepared, err := definition.Prepare(info)
	if err != nil {
		return store.NewTask{}, &Invalid{err.Error()}
	}
	return store.NewTask{
		Type: definition.Type, Lane: definition.Lane, OrderingKey: prepared.OrderingKey, Info: prepared.Info,
	}, nil
}

// Enqueue implements job.Queue.
func (q *Queue) Enqueue(ctx context.Context, tx job.Tx, jobType string, payload job.Payload) (int64, error) {
	info, err := json.Marshal(payload)
	if err != nil {
		return 0, fmt.Errorf("task_info: %w", err)
	}
	task, err := q.prepare(jobType, info)
	if err != nil {
		return 0, err
	}
	return store.Insert(ctx, tx, task)
}

// Wake implements job.Queue.
func (q *Queue) Wake(ctx context.Context, orderingKey string) error {
	if orderingKey == "" {
		return errors.New("wake: no ordering key")
	}
	if err := q.store.Wake(ctx, orderingKey); err != nil {
		return err
	}
	q.Nudge()
	return nil
}

// EndParked implements job.Queue.
func (q *Queue) EndParked(ctx context.Context, orderingKey string, before int64, superseded bool, text string) error {
	status := store.Cancelled
	if superseded {
		status = store.Superseded
	}
	return q.store.EndParked(ctx, orderingKey, before, status, text)
}

// Nudge implements job.Queue.
func (q *Queue) Nudge() {
	select {
	case q.hint <- struct{}{}:
	default: // one is on its way already
	}
}

// Hints delivers a value soon after tasks may have become ready.
func (q *Queue) Hints() <-chan struct{} { return q.hint }
