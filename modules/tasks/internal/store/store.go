// Package store reads and writes console_tasks: each state change of a task is one statement here. It contains no
// policy.
//
// Exclusivity is enforced by the table, not by locks: a partial unique index allows one processing task for each
// ordering key, and every write of a claimer is fenced by its process and its claim number, so that a process that was
// presumed dead changes nothing. Clocks are compared with themselves only: tasks without a delay are due whatever the
// database's clock says, and a heartbeat's age is measured by the process that observes it.
//
// All statements are raw SQL. Inserts, claims and completions take batches and are prepared; tests check the plans of those
// that must use an index; times are the database's. The few that are none of this are written like the others: Ent would
// make them longer, as a read has to leave out the payload.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/tasks/internal/encryption"
)

// Status is console_tasks.task_status.
type Status string

// The states of a task.
const (
	Pending    Status = "pending"
	Processing Status = "processing"
	Waiting    Status = "waiting"
	Finished   Status = "finished"
	Failed     Status = "error"
	Cancelled  Status = "cancelled"
	Superseded Status = "superseded"
)

// Ended reports whether a task in this state stays in it.
func (s Status) Ended() bool {
	return s == Finished || s == Failed || s == Cancelled || s == Superseded
}

// ErrNotFound is returned for an unknown task.
var ErrNotFound = errors.New("no such task")

// ErrClaimLost is returned for a write of a claim that another claimer has replaced: nothing was written.
var ErrClaimLost = errors.New("the task was recovered by another process")

// Store reads and writes console_tasks and inner_processes, except heartbeats.
type Store struct {
	db       *sql.DB
	prepared *database.PreparedPool
	keyring  *encryption.Keyring
	timeout  time.Duration
	// delay and delayMax limit the delay between recoveries of one task, in seconds.
	delay, delayMax float64
}

// New returns a store. Frequent statements go through prepared, payloads with secrets through keyring.
func New(db *sql.DB, prepared *database.PreparedPool, keyring *encryption.Keyring, c *config.Config) *Store {
	return &Store{
		db: db, prepared: prepared, keyring: keyring, timeout: c.Database.StatementTimeout,
		delay: c.Tasks.RetryDelay.Seconds(), delayMax: c.Tasks.RetryDelayMax.Seconds(),
	}
}

// Encrypts reports whether payloads with secrets are encrypted.
func (s *Store) Encrypts() bool { return s.keyring.Encrypts() }

// exec runs one statement within the time limit, retries it after serialization failures, and returns the number of
// changed rows.
func (s *Store) exec(ctx context.Context, query string, args ...any) (int64, error) {
	return s.execOn(ctx, s.db, query, args...)
}

// executor is a pool that runs statements.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (s *Store) execOn(ctx context.Context, on executor, query string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var n int64
	err := database.Retry(ctx, func(ctx context.Context) error {
		result, err := on.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("console_tasks: %w", err)
	}
	return n, nil
}

// querier is a pool or a transaction that runs queries.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// collect returns all rows of a query; never nil without an error.
func collect[T any](ctx context.Context, s *Store, from querier, query string, scan func(*sql.Rows, *T) error,
	args ...any) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	all := []T{}
	for rows.Next() {
		var one T
		if err := scan(rows, &one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
