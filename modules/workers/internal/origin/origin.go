// Package origin reports whether the version and the task that a WorkerApp names are those of the database as it is now. A
// database may be restored to an older state while the cluster lives on: then it gives the same numbers to other versions
// and tasks.
package origin

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
)

// Relation is how a WorkerApp's origin relates to the database.
type Relation int

// The relations.
const (
	// Known: the database has the task, so that its numbers can be compared with the rows.
	Known Relation = iota
	// Expired: the database may have had the task and deleted it after its retention.
	Expired
	// OtherDatabase: the WorkerApp was written for another database, or for this one before a restore.
	OtherDatabase
)

// ErrNoTask says that the database has no such task about this worker: it was restored while the task ran.
var ErrNoTask = errors.New("the database does not have the task any more")

// Origins compares WorkerApps with the database.
type Origins struct {
	db      *sql.DB
	queue   job.Queue
	log     *zap.Logger
	timeout time.Duration
}

// New returns Origins.
func New(db *sql.DB, q job.Queue, log *zap.Logger, c *config.Config) *Origins {
	return &Origins{db: db, queue: q, log: log.Named("job"), timeout: c.Database.StatementTimeout}
}

// ForTask returns the origin of a WorkerApp that a task about the worker with this ordering key writes, or ErrNoTask when
// the database does not have the task.
func (o *Origins) ForTask(ctx context.Context, key string, version, task int64) (workerapp.Origin, error) {
	accepted, err := o.queue.Acceptance(ctx, task)
	if err != nil {
		return workerapp.Origin{}, err
	}
	if !accepted.Found || accepted.OrderingKey != key {
		return workerapp.Origin{}, ErrNoTask
	}
	id, err := o.identity(ctx)
	return workerapp.Origin{Version: version, Task: task, Accepted: accepted.At, Database: id}, err
}

// Compare returns the relation of the WorkerApp with this ordering key. When its numbers prove that the database was
// restored, the database gets a new id, so that all other origins of its past are OtherDatabase too.
func (o *Origins) Compare(ctx context.Context, key string, at workerapp.Origin) (Relation, error) {
	id, err := o.identity(ctx)
	switch {
	case err != nil:
		return Known, err
	case at.Database != "" && at.Database != id:
		return OtherDatabase, nil
	case at.Task == 0:
		return Known, nil
	}
	accepted, err := o.queue.Acceptance(ctx, at.Task)
	switch {
	case err != nil:
		return Known, err
	case accepted.Found && (at.Accepted == accepted.At || at.Accepted == "" && accepted.OrderingKey == key):
		return Known, nil
	case !accepted.Found && at.Task <= accepted.Newest:
		return Expired, nil
	}
	return OtherDatabase, o.markRestored(ctx, id, key, at)
}

// MarkRestored gives the database a new id because a recorded outcome of the WorkerApp is missing from the rows: they were
// restored to an older state.
func (o *Origins) MarkRestored(ctx context.Context, key string, at workerapp.Origin) error {
	id, err := o.identity(ctx)
	if err != nil {
		return err
	}
	return o.markRestored(ctx, id, key, at)
}

func (o *Origins) markRestored(ctx context.Context, old, key string, at workerapp.Origin) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	done, err := database.RenewIdentity(ctx, o.db, old)
	if done {
		o.log.Warn("the database was restored and has a new id",
			zap.String("key", key), zap.Int64("version", at.Version), zap.Int64("task", at.Task))
	}
	return err
}

// Snapshot is the state of the database with which many WorkerApps are compared.
type Snapshot struct {
	database string
	newest   int64
}

// Snapshot reads the state of the database.
func (o *Origins) Snapshot(ctx context.Context) (Snapshot, error) {
	newest, err := o.queue.Acceptance(ctx, 0)
	if err != nil {
		return Snapshot{}, err
	}
	id, err := o.identity(ctx)
	return Snapshot{database: id, newest: newest.Newest}, err
}

// IsOtherDatabase reports whether a WorkerApp that was read before the snapshot is certainly of another database. It changes
// nothing.
func (s Snapshot) IsOtherDatabase(at workerapp.Origin) bool {
	return at.Database != "" && at.Database != s.database || at.Task > s.newest
}

func (o *Origins) identity(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	return database.Identity(ctx, o.db)
}
