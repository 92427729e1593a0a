package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"app238.com/inner/modules/tasks/internal/encryption"
	"app238.com/inner/modules/tasks/job"
)

// View is a task without its payload.
type View struct {
	ID                    int64
	Type                  string
	Status                Status
	Detail, LastError     string
	Attempts              int
	CreatedAt             time.Time
	StartedAt, FinishedAt sql.NullTime
}

const viewTask = `
SELECT id, task_type, task_status, task_detailed_status, last_error, attempts, created_at, started_at, finished_at
FROM console_tasks WHERE id = $1`

// View returns a task, or ErrNotFound.
func (s *Store) View(ctx context.Context, id int64) (View, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var v View
	err := s.db.QueryRowContext(ctx, viewTask, id).Scan(&v.ID, &v.Type, &v.Status, &v.Detail, &v.LastError,
		&v.Attempts, &v.CreatedAt, &v.StartedAt, &v.FinishedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return v, ErrNotFound
	}
	return v, err
}

// isRunning reports whether a worker runs a task, as of the last heartbeat of the process that claimed it.
const isRunning = `(task_status = 'processing' AND EXISTS (SELECT 1 FROM inner_processes p
    WHERE p.id = claimed_by AND strpos(p.running_tasks, ',' || CAST(console_tasks.id AS TEXT) || ',') > 0))`

const summaryColumns = `id, task_type, task_status, ` + isRunning + `, task_detailed_status, lane, ordering_key, attempts, last_error,
    created_at, started_at, finished_at`

// The primary key is scanned backwards until the page is full. PostgreSQL removes conditions on empty parameters when
// it plans the statement. Of an ordering key the second part is the user, and the third the object; that of a notice has one more
// part in front.
const listTasks = `
SELECT ` + summaryColumns + `
FROM console_tasks
WHERE ($1::BIGINT = 0 OR id < $1::BIGINT) AND ($2::TEXT = '' OR task_status = $2::TEXT) AND ($3::TEXT = '' OR task_type =
    $3::TEXT)
  AND ($4::TEXT = '' OR ordering_key = $4::TEXT)
  AND ($6::TEXT = '' OR split_part(ordering_key, '/', 2) = $6::TEXT
    OR (split_part(ordering_key, '/', 1) = 'notice' AND split_part(ordering_key, '/', 3) = $6::TEXT))
  AND ($7::TEXT = '' OR (split_part(ordering_key, '/', 1) = 'worker' AND split_part(ordering_key, '/', 3) = $7::TEXT))
  AND created_at >= $8::TIMESTAMP AND created_at < $9::TIMESTAMP
  AND ($11::BIGINT = 0 OR id > COALESCE((SELECT o.id FROM console_tasks o ORDER BY o.id DESC OFFSET $11::BIGINT LIMIT 1), 0))
  AND ($10::TEXT = '' OR CASE WHEN ` + isRunning + ` THEN 'running' ELSE 'claimed' END = $10::TEXT)
ORDER BY id DESC LIMIT $5`

// List returns at most f.Limit tasks, newest first, with ids below f.Before unless that is 0. With notRunning it leaves out those
// that a worker runs.
func (s *Store) List(ctx context.Context, f job.Filter, notRunning bool) ([]job.Summary, error) {
	status, state := f.Status, ""
	switch {
	case status == job.Running || status == job.Claimed:
		status, state = string(Processing), status
	case notRunning:
		state = job.Claimed // of a task that is not processing it is always true
	}
	return collect(ctx, s, s.db, listTasks, func(rows *sql.Rows, t *job.Summary) error {
		return rows.Scan(summaryFields(t)...)
	}, f.Before, status, f.Type, f.Key, f.Limit, f.User, f.Worker, timestamp(f.Since.At, firstTime), timestamp(f.Until.At, lastTime),
		state, f.Among)
}

// Now returns the database's clock.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = s.db.QueryRowContext(ctx, `SELECT LOCALTIMESTAMP`).Scan(&now)
	return now, err
}

// Times before and after those of all tasks.
const (
	firstTime = "0001-01-01 00:00:00"
	lastTime  = "9999-12-31 00:00:00"
)

// timestamp writes a time for a statement; the zero time is written as otherwise.
func timestamp(t time.Time, otherwise string) string {
	if t.IsZero() {
		return otherwise
	}
	return t.UTC().Format("2006-01-02 15:04:05.000000")
}

func summaryFields(t *job.Summary) []any {
	return []any{
		&t.ID, &t.Type, &t.Status, &t.Running, &t.Detail, &t.Lane, &t.OrderingKey, &t.Attempts, &t.LastError,
		&t.CreatedAt, &t.StartedAt, &t.FinishedAt,
	}
}

const showTask = `
SELECT ` + summaryColumns + `, GREATEST(run_at, created_at), claimed_by, COALESCE((SELECT p.host FROM inner_processes p WHERE p.id = claimed_by), ''),
    claim_number, takeovers, woken, COALESCE(idempotency_key, ''), task_info, attempt_errors
FROM console_tasks WHERE id = $1`

// Payload is the payload of a task.
type Payload struct {
	// Info is nil if it was encrypted with a key that is not configured here.
	Info []byte
	// Encrypted is true if it is stored encrypted, because it contains secrets.
	Encrypted bool
}

// Details returns all columns of a task, or ErrNotFound; the stored errors and the payload separately.
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
		p.Info = nil // the other columns are readable
	}
	return d, p, attemptErrors, nil
}
