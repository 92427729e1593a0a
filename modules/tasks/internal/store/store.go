// Package store is console_tasks in SQL: each state change of a task is one statement here. It holds no policy.
//
// Exclusivity is a fact of the table, not of locks: a partial unique index allows one processing task for each
// ordering key, and every write of a claimer names its process and its claim number, so that one who was presumed dead
// changes nothing. Clocks are compared with themselves only: what was not put off is due whatever the database's says, and
// silence is measured by who observes it.
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

// Ended tells whether a task in this state stays in it.
func (s Status) Ended() bool {
	return s == Finished || s == Failed || s == Cancelled || s == Superseded
}

// ErrNotFound says that there is no such task.
var ErrNotFound = errors.New("no such task")

// ErrLostClaim says that the task belongs to another claimer by now: what this one wanted to write was not written.
var ErrClaimLost = errors.New("the task was taken over")

// Store reads and writes console_tasks and inner_processes, heartbeats left out.
type Store struct {
	db       *sql.DB
	prepared *database.PreparedPool
	keyring  *encryption.Keyring
	timeout  time.Duration
	// delay and delayMax are the waits between the takeovers of one task, in seconds.
	delay, delayMax float64
}

// New returns a store on db. What every task costs goes through steady, and payloads with secrets through box.
func New(db *sql.DB, prepared *database.PreparedPool, keyring *encryption.Keyring, c *config.Config) *Store {
	return &Store{
		db: db, prepared: prepared, keyring: keyring, timeout: c.Database.StatementTimeout,
		delay: c.Tasks.RetryDelay.Seconds(), delayMax: c.Tasks.RetryDelayMax.Seconds(),
	}
}

// Seals tells whether payloads with secrets are encrypted.
func (s *Store) Encrypts() bool { return s.keyring.Encrypts() }

// exec runs one statement within the time limit, again after serialization failures, and returns the rows it changed.
func (s *Store) exec(ctx context.Context, query string, args ...any) (int64, error) {
	return s.execBy(ctx, s.db, query, args...)
}

// executor is a pool that statements are sent to.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (s *Store) execBy(ctx context.Context, by executor, query string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var n int64
	err := database.Retry(ctx, func(ctx context.Context) error {
		result, err := by.ExecContext(ctx, query, args...)
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

// querier is a pool or transaction that a query is sent to.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// collect returns all rows of a query; never nil without an error.
func collect[T any](ctx context.Context, s *Store, from querier, query string, scan func(*sql.Rows, *T) error, args ...any) ([]T, error) {
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
