package job

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"go.uber.org/fx"
)

// Tx is the part of an Ent transaction that the queue needs to write its row beside those of the caller.
type Tx interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// ErrKeyReused says that an idempotency key was used before, for a different request.
var ErrKeyReused = errors.New("idempotency key was used for a different request")

// Accepted is a task as it was accepted.
type Accepted struct {
	// ID is console_tasks.id, Type the job type.
	ID   int64
	Type string
	// Info is the payload as JSON, without the values of a Secret where they were erased meanwhile.
	Info []byte
}

// Queue is what other modules may ask of the task queue.
type Queue interface {
	// Accept checks and commits a task and returns its id.
	Accept(ctx context.Context, jobType string, payload Payload) (int64, error)
	// Enqueue writes a task of the given type in the caller's transaction and returns its id. The task exists once
	// the transaction is committed. An invalid payload is an error.
	Enqueue(ctx context.Context, tx Tx, jobType string, payload Payload) (int64, error)
	// EnqueueOnce is Enqueue with an idempotency key, which is for all job types together. It returns ErrKeyReused where a
	// task with this key and another payload exists; see Earlier.
	EnqueueOnce(ctx context.Context, tx Tx, key, jobType string, payload Payload) (int64, error)
	// Earlier returns the task that was accepted with an idempotency key, nil where there is none.
	FindByIdempotencyKey(ctx context.Context, tx Tx, key string) (*Accepted, error)
	// Wake makes the parked tasks with this ordering key run again, and keeps the one that is being run from being
	// parked. To be called after what they waited for is committed.
	Resume(ctx context.Context, orderingKey string) error
	// EndParked ends the parked tasks of this key that were accepted before the task with id before: a newer one made
	// them pointless. superseded chooses between the states superseded and cancelled; text says in words what did.
	CancelParked(ctx context.Context, orderingKey string, before int64, superseded bool, text string) error
	// Superseding returns the payload of the newest task of this type and key that was accepted after the task with id
	// after and has not begun; nil when there is none.
	NewestPending(ctx context.Context, orderingKey, jobType string, after int64) ([]byte, error)
	// Unfinished returns the types of the tasks with this ordering key that were accepted after the task with id after and
	// have not ended.
	ActiveTypes(ctx context.Context, orderingKey string, after int64) ([]string, error)
	// Acceptance tells what the table has of the task with this id.
	Acceptance(ctx context.Context, id int64) (Acceptance, error)
	// Erase removes the secrets from the stored payload of a task. To be called once they are where they belong: if the
	// task runs again, it runs without them.
	EraseSecrets(ctx context.Context, id int64, payload Secret) error
	// Heal makes a task that ended as an error a finished one, because what it was about succeeded later.
	CompleteDiscarded(ctx context.Context, id int64) error
	// Nudge tells the pool that new tasks were committed. It never blocks; tasks are found without it, only later.
	Notify()
}

// Acceptance is how a task was accepted.
type Acceptance struct {
	// Found is false where there is no such task: none of this id was accepted, or it was removed after its retention. Then
	// Newest is the highest id of a task that is there.
	Found       bool
	Newest      int64
	OrderingKey string
	// At is the time, by the database's clock, as a text of which nothing but equality means anything: two tasks to which a
	// database gave the same id, once before and once after it was put back to an older state, differ in it.
	At string
}

// Runner runs single tasks in this process, for the command line.
type Runner interface {
	// Types returns the job types, sorted.
	Types() []string
	// Run accepts a task and runs it when its turn comes: by the same rules as every task, so that another process may
	// be the one that runs it. It tells progress in words and returns nil once the task is finished, an *Error when it
	// ended otherwise.
	Run(ctx context.Context, jobType string, info []byte, progress func(taskID int64, text string)) error
}

// Periodic is a job that runs by itself. Modules contribute them through the fx group "periodic".
type Periodic struct {
	// Name is unique and stays the same for ever: it is the key under which executions are recorded.
	Name string
	// Interval between executions; ticks are whole multiples of it since the Unix epoch, by the database's clock.
	Interval time.Duration
	// Type is the job type of the execution.
	Type string
	// Payload of each execution.
	Payload Payload
	// AtStart has the job also run when a process starts, unless it was begun less than cron.startInterval ago, by
	// whichever process.
	RunOnStart bool
}

// AsPeriodic makes the fx constructor of a Periodic one that contributes to the group "periodic".
func AsPeriodic(constructor any) any {
	return fx.Annotate(constructor, fx.ResultTags(`group:"periodic"`))
}
