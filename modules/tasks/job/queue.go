package job

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"go.uber.org/fx"
)

// Tx is the part of an Ent transaction with which the queue writes its row in the caller's transaction.
type Tx interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// ErrKeyReused is returned for an idempotency key that was used for a different request.
var ErrKeyReused = errors.New("idempotency key was used for a different request")

// Accepted is a task as it was accepted.
type Accepted struct {
	// ID is console_tasks.id, Type the job type.
	ID   int64
	Type string
	// Info is the payload as JSON, without the values of a Secret if they were erased.
	Info []byte
}

// Queue is the part of the task queue that other modules use.
type Queue interface {
	// Accept validates and commits a task and returns its id.
	Accept(ctx context.Context, jobType string, payload Payload) (int64, error)
	// Enqueue writes a task in the caller's transaction and returns its id. The task exists once the transaction is
	// committed. An invalid payload is an error.
	Enqueue(ctx context.Context, tx Tx, jobType string, payload Payload) (int64, error)
	// EnqueueOnce is Enqueue with an idempotency key, which is unique over all job types. It returns ErrKeyReused if a
	// task with this key and another payload exists; see FindByIdempotencyKey.
	EnqueueOnce(ctx context.Context, tx Tx, key, jobType string, payload Payload) (int64, error)
	// FindByIdempotencyKey returns the task that was accepted with this key, nil if there is none.
	FindByIdempotencyKey(ctx context.Context, tx Tx, key string) (*Accepted, error)
	// Resume makes the parked tasks with this ordering key pending, and keeps a running one from being parked. Call it
	// after committing what they wait for.
	Resume(ctx context.Context, orderingKey string) error
	// CancelParked ends the parked tasks of this key with ids below before, as superseded or as cancelled. The text
	// says why.
	CancelParked(ctx context.Context, orderingKey string, before int64, superseded bool, text string) error
	// NewestPending returns the payload of the newest pending task of this key and type with an id above after, nil if
	// there is none.
	NewestPending(ctx context.Context, orderingKey, jobType string, after int64) ([]byte, error)
	// ActiveTypes returns the types of the pending, processing and waiting tasks with this ordering key and an id above
	// after.
	ActiveTypes(ctx context.Context, orderingKey string, after int64) ([]string, error)
	// Acceptance returns how the task with this id was accepted.
	Acceptance(ctx context.Context, id int64) (Acceptance, error)
	// EraseSecrets removes the secrets from the stored payload of a task. Call it once they are applied: if the task
	// runs again, it runs without them.
	EraseSecrets(ctx context.Context, id int64, payload Secret) error
	// CompleteDiscarded marks a discarded task finished, because what it failed to do succeeded later.
	CompleteDiscarded(ctx context.Context, id int64) error
	// Notify wakes up the workers after new tasks were committed. It never blocks. Without it tasks are found at the
	// next poll.
	Notify()
}

// Acceptance is how a task was accepted.
type Acceptance struct {
	// Found is false if there is no task with this id: it was never accepted, or deleted after its retention. Newest is
	// then the highest id of a task.
	Found       bool
	Newest      int64
	OrderingKey string
	// At is the time of acceptance by the database's clock, to be compared for equality only: it tells apart two tasks
	// to which a database gave the same id, before and after it was restored to an older state.
	At string
}

// Runner runs single tasks in this process, for the command line.
type Runner interface {
	// Types returns the job types, sorted.
	Types() []string
	// Run accepts a task and runs it when its turn comes, unless another process runs it first. It reports progress in
	// words. It returns nil once the task is finished, and an *Error if it ended otherwise.
	Run(ctx context.Context, jobType string, info []byte, progress func(taskID int64, text string)) error
}

// Periodic is a job that runs periodically. Modules contribute them through the fx group "periodic".
type Periodic struct {
	// Name is unique and must not change: executions are recorded under it.
	Name string
	// Interval is the time between executions; ticks are whole multiples of it since the Unix epoch, by the database's
	// clock.
	Interval time.Duration
	// Type is the job type of the execution.
	Type string
	// Payload is the payload of each execution.
	Payload Payload
	// RunOnStart also runs the job when a process starts, unless any process started it less than cron.startInterval
	// ago.
	RunOnStart bool
}

// AsPeriodic annotates an fx constructor of a Periodic so that it contributes to the group "periodic".
func AsPeriodic(constructor any) any {
	return fx.Annotate(constructor, fx.ResultTags(`group:"periodic"`))
}
