// Package queue accepts tasks: it validates a payload by its job type and commits the row.
package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"app238.com/inner/app/tracing"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// ErrTooLarge is returned for a payload that is too large to be stored, ErrOverloaded where too many requests wait for overloaded
// lanes already. Both have no effect.
var (
	ErrTooLarge   = errors.New("the payload is too large")
	ErrOverloaded = errors.New("the lane is overloaded")
)

// Limits are those of an accept.
type Limits struct {
	// Bytes is the maximum size of the stored payload; a larger one is ErrTooLarge.
	Bytes int64
	// Waiting and WaitingBytes limit the requests that wait for overloaded lanes, and the sizes of their payloads; 0 is no limit.
	// One more is ErrOverloaded.
	Waiting      int
	WaitingBytes int64
}

// InvalidError is returned for an invalid request; its text names the field and is meant for the client.
type InvalidError struct{ Text string }

// Error returns the text.
func (e *InvalidError) Error() string { return e.Text }

// Unwrap returns job.ErrInvalid.
func (e *InvalidError) Unwrap() error { return job.ErrInvalid }

// Queue accepts tasks and notifies the processor.
type Queue struct {
	registry *registry.Registry
	store    *store.Store
	tracker  *claims.Tracker
	tracing  *tracing.Tracing
	batcher  *batcher
	ready    *readiness
}

// New returns a queue.
func New(r *registry.Registry, s *store.Store, ct *claims.Tracker, m *metrics.Metrics, t *tracing.Tracing) *Queue {
	ready := newReadiness(s.Probe)
	return &Queue{
		registry: r, store: s, tracker: ct, tracing: t, ready: ready,
		batcher: newBatcher(s, ct, m, t, ready),
	}
}

// AcceptInfo validates and commits a task given by its type or alias and its payload. If the idempotency key was used
// before, it returns the id of the existing task.
func (q *Queue) AcceptInfo(ctx context.Context, jobType string, info []byte, idempotencyKey string) (int64, error) {
	return q.AcceptLimited(ctx, jobType, info, idempotencyKey, Limits{Bytes: math.MaxInt64})
}

// AcceptLimited is AcceptInfo with limits.
func (q *Queue) AcceptLimited(ctx context.Context, jobType string, info []byte, idempotencyKey string, l Limits) (int64, error) {
	task, err := q.prepare(jobType, info)
	if err != nil {
		return 0, err
	}
	if int64(len(task.Info)) > l.Bytes {
		return 0, ErrTooLarge
	}
	if q.batcher.overloaded(task.Lane, l) {
		return 0, ErrOverloaded
	}
	task.IdempotencyKey, task.TraceParent = idempotencyKey, q.tracing.Parent(ctx)
	return q.batcher.insert(ctx, task)
}

// Accept implements job.Queue.
func (q *Queue) Accept(ctx context.Context, jobType string, payload job.Payload) (int64, error) {
	task, err := q.encode(jobType, payload)
	if err != nil {
		return 0, err
	}
	task.TraceParent = q.tracing.Parent(ctx)
	return q.batcher.insert(ctx, task)
}

// Enqueue implements job.Queue.
func (q *Queue) Enqueue(ctx context.Context, tx job.Tx, jobType string, payload job.Payload) (int64, error) {
	return q.EnqueueOnce(ctx, tx, "", jobType, payload)
}

// EnqueueOnce implements job.Queue.
func (q *Queue) EnqueueOnce(ctx context.Context, tx job.Tx, key, jobType string, payload job.Payload) (int64, error) {
	task, err := q.encode(jobType, payload)
	if err != nil {
		return 0, err
	}
	task.IdempotencyKey, task.TraceParent = key, q.tracing.Parent(ctx)
	inserted, err := q.store.InsertTx(ctx, tx, "", []store.NewTask{task}, nil)
	if err != nil {
		return 0, err
	}
	return inserted[0].ID, inserted[0].Err
}

// FindByIdempotencyKey implements job.Queue.
func (q *Queue) FindByIdempotencyKey(ctx context.Context, tx job.Tx, key string) (*job.Accepted, error) {
	found, err := q.store.FindByIdempotencyKey(ctx, tx, key)
	if err != nil || found == nil {
		return nil, err
	}
	return &found.Accepted, nil
}

func (q *Queue) encode(jobType string, payload job.Payload) (store.NewTask, error) {
	info, err := json.Marshal(payload)
	if err != nil {
		return store.NewTask{}, fmt.Errorf("task_info: %w", err)
	}
	return q.prepare(jobType, info)
}

func (q *Queue) prepare(jobType string, info []byte) (store.NewTask, error) {
	definition, ok := q.registry.Find(jobType)
	if !ok {
		return store.NewTask{}, &InvalidError{"task_type: unknown"}
	}
	prepared, err := definition.Prepare(info)
	if err != nil {
		return store.NewTask{}, &InvalidError{err.Error()}
	}
	return store.NewTask{
		Type: definition.Type, Lane: definition.Lane, OrderingKey: prepared.OrderingKey, Info: prepared.Info, Erased: prepared.Erased,
		Prepared: &prepared,
	}, nil
}

// Resume implements job.Queue.
func (q *Queue) Resume(ctx context.Context, orderingKey string) error {
	if orderingKey == "" {
		return errors.New("resume: no ordering key")
	}
	if err := q.store.Resume(ctx, orderingKey); err != nil {
		return err
	}
	q.Notify()
	return nil
}

// CancelParked implements job.Queue.
func (q *Queue) CancelParked(ctx context.Context, orderingKey string, before int64, superseded bool, text string) error {
	status := store.Cancelled
	if superseded {
		status = store.Superseded
	}
	return q.store.CancelParked(ctx, orderingKey, before, status, text)
}

// NewestPending implements job.Queue.
func (q *Queue) NewestPending(ctx context.Context, orderingKey, jobType string, after int64) ([]byte, error) {
	return q.store.NewestPending(ctx, orderingKey, jobType, after)
}

// ActiveTypes implements job.Queue.
func (q *Queue) ActiveTypes(ctx context.Context, orderingKey string, after int64) ([]string, error) {
	return q.store.ActiveTypes(ctx, orderingKey, after)
}

// Acceptance implements job.Queue.
func (q *Queue) Acceptance(ctx context.Context, id int64) (job.Acceptance, error) {
	return q.store.Acceptance(ctx, id)
}

// EraseSecrets implements job.Queue.
func (q *Queue) EraseSecrets(ctx context.Context, id int64, payload job.Secret) error {
	info, err := json.Marshal(payload.WithoutSecrets())
	if err != nil {
		return fmt.Errorf("task_info: %w", err)
	}
	return q.store.EraseSecrets(ctx, id, info)
}

// CompleteDiscarded implements job.Queue.
func (q *Queue) CompleteDiscarded(ctx context.Context, id int64) error {
	return q.store.CompleteDiscarded(ctx, id)
}

// Notify implements job.Queue.
func (q *Queue) Notify() { q.tracker.Notify() }
