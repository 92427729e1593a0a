package store

import (
	"context"
	"database/sql"
	"errors"

	"app238.com/inner/modules/tasks/internal/encryption"
	"app238.com/inner/modules/tasks/job"
)

// What operators see and do.

const summaryColumns = `id, task_type, task_status, task_detailed_status, lane, ordering_key, attempts, last_error,
    created_at, started_at, finished_at`

// The list is read backwards along the primary key until the page is full. Conditions that are not asked for become
// constants when the statement is planned.
const listTasks = `
SELECT ` + summaryColumns + `
FROM console_tasks
WHERE ($1::BIGINT = 0 OR id < $1::BIGINT) AND ($2::TEXT = '' OR task_status = $2::TEXT) AND ($3::TEXT = '' OR task_type = $3::TEXT)
  AND ($4::TEXT = '' OR ordering_key = $4::TEXT)
ORDER BY id DESC LIMIT $5`

// List returns at most f.Limit tasks with an id below f.Before, unless that is 0, the newest first.
func (s *Store) List(ctx context.Context, f job.Filter) ([]job.Summary, error) {
	return collect(ctx, s, s.db, listTasks, func(rows *sql.Rows, t *job.Summary) error {
		return rows.Scan(summaryFields(t)...)
	}, f.Before, f.Status, f.Type, f.Key, f.Limit)
}

func summaryFields(t *job.Summary) []any {
	return []any{
		&t.ID, &t.Type, &t.Status, &t.Detail, &t.Lane, &t.OrderingKey, &t.Attempts, &t.LastError,
		&t.CreatedAt, &t.StartedAt, &t.FinishedAt,
	}
}

const showTask = `
SELECT ` + summaryColumns + `, GREATEST(run_at, created_at), claimed_by, COALESCE((SELECT p.host FROM inner_processes p WHERE p.id = claimed_by), ''),
    claim_number, takeovers, woken, COALESCE(idempotency_key, ''), task_info, attempt_errors
FROM console_tasks WHERE id = $1`

// Payload is that of a task.
type Payload struct {
	// Info is nil where it was sealed with a key that is not here.
	Info []byte
	// Sealed tells that it is stored encrypted, since it holds secrets.
	Encrypted bool
}

// Details returns all of a task, or ErrNotFound, and beside it the kept errors and the payload.
func (s *Store) Details(ctx context.Context, id int64) (d job.Details, p Payload, attemptErrors string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var stored string
	err = s.db.QueryRowContext(ctx, showTask, id).Scan(append(summaryFields(&d.Summary),
		&d.RunAt, &d.ClaimedBy, &d.ClaimedOn, &d.ClaimNumber, &d.Takeovers, &d.Resumed, &d.IdempotencyKey, &stored, &attemptErrors)...)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return d, Payload{}, "", err
	}
	p.Encrypted = encryption.IsEncrypted(stored)
	if p.Info, err = s.keyring.Decrypt(stored); err != nil {
		p.Info = nil // all the rest can be told
	}
	return d, p, attemptErrors, nil
}

// Both changes are fenced by the state in which the task was seen: of two who want them one is refused.
const (
	retryTask = `
UPDATE console_tasks SET task_status = 'pending', task_detailed_status = $3, attempts = 0, takeovers = 0, woken = false, claimed_by = '',
    run_at = ` + atOnce + `, started_at = NULL, finished_at = NULL
WHERE id = $1 AND task_status = $2 AND task_status IN ('error', 'cancelled', 'superseded')`

	cancelTask = `
UPDATE console_tasks SET task_status = 'cancelled', task_detailed_status = $3, finished_at = LOCALTIMESTAMP
WHERE id = $1 AND task_status = $2 AND task_status IN ('pending', 'waiting')`
)

// Retry makes an ended task pending, and tells whether it was in the state seen until then.
func (s *Store) Retry(ctx context.Context, id int64, seen Status, detail string) (bool, error) {
	n, err := s.exec(ctx, retryTask, id, string(seen), detail)
	return n > 0, err
}

// Cancel ends a pending or waiting task, and tells whether it was in the state seen until then.
func (s *Store) Cancel(ctx context.Context, id int64, seen Status, detail string) (bool, error) {
	n, err := s.exec(ctx, cancelTask, id, string(seen), detail)
	return n > 0, err
}

const makeDue = `
UPDATE console_tasks SET task_status = 'pending', run_at = ` + atOnce + `
WHERE id = $1 AND (task_status = 'waiting' OR (task_status = 'pending' AND run_at > LOCALTIMESTAMP))`

// MakeDue lets a task run that is parked or waits for a later time, and tells whether it was one.
func (s *Store) MakeDue(ctx context.Context, id int64) (bool, error) {
	n, err := s.exec(ctx, makeDue, id)
	return n > 0, err
}

// A count of everything reads the whole table.
const countTasks = `
SELECT lane, task_type, task_status, count(*) FROM console_tasks
GROUP BY lane, task_type, task_status ORDER BY lane, task_type, task_status`

// Count returns the number of tasks by lane, type and state.
func (s *Store) Count(ctx context.Context) ([]job.Count, error) {
	return collect(ctx, s, s.db, countTasks, func(rows *sql.Rows, c *job.Count) error {
		return rows.Scan(&c.Lane, &c.Type, &c.Status, &c.Count)
	})
}

const pendingByLane = `
SELECT lane, count(*), CAST(EXTRACT(EPOCH FROM LOCALTIMESTAMP - min(created_at)) AS FLOAT8)
FROM console_tasks WHERE task_status = 'pending' AND lane <> '' GROUP BY lane ORDER BY lane`

// Backlogs returns the lanes that have pending tasks.
func (s *Store) Backlogs(ctx context.Context) ([]job.Backlog, error) {
	return collect(ctx, s, s.db, pendingByLane, func(rows *sql.Rows, b *job.Backlog) error {
		return rows.Scan(&b.Lane, &b.Pending, &b.Oldest)
	})
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
