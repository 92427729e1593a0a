package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"app238.com/inner/modules/tasks/job"
)

const findByIdempotencyKey = `SELECT id, task_type, task_info, COALESCE(info_hash, '') FROM console_tasks WHERE idempotency_key = $1`

// First is the task that was accepted first with an idempotency key.
type KeyedTask struct {
	job.Accepted
	// hash is of the payload as it was accepted; "" where it holds no secrets, and in rows of earlier releases.
	hash string
}

// FindByKey returns the task that was accepted first with an idempotency key, nil where there is none.
func (s *Store) FindByIdempotencyKey(ctx context.Context, tx job.Tx, key string) (*KeyedTask, error) {
	rows, err := tx.QueryContext(ctx, findByIdempotencyKey, key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return nil, rows.Err()
	}
	var existingTask KeyedTask
	var info string
	if err := rows.Scan(&existingTask.ID, &existingTask.Type, &info, &existingTask.hash); err != nil {
		return nil, err
	}
	if existingTask.Info, err = s.keyring.Decrypt(info); err != nil {
		return nil, fmt.Errorf("task %d: %w", existingTask.ID, err)
	}
	return &existingTask, rows.Err()
}

// findFirst returns the task that was accepted first with this one's idempotency key.
func (s *Store) findExisting(ctx context.Context, tx job.Tx, t NewTask) (Inserted, error) {
	existingTask, err := s.FindByIdempotencyKey(ctx, tx, t.IdempotencyKey)
	switch {
	case err != nil:
		return Inserted{}, err
	case existingTask == nil:
		return Inserted{}, sql.ErrNoRows
	case existingTask.Type != t.Type || !s.samePayload(existingTask, t):
		return Inserted{Found: true, Fault: job.ErrKeyReused}, nil
	}
	return Inserted{ID: existingTask.ID, Found: true}, nil
}

// equal tells whether a task was accepted with the payload that t has. Where its secrets are not in its row, be it that they
// were erased or that it came without, their hash tells; one whose key is gone tells nothing, and a payload that is not
// known to be the same is another one: else its secrets would never be applied.
func (s *Store) samePayload(existingTask *KeyedTask, t NewTask) bool {
	if t.Erased == nil || !bytes.Equal(existingTask.Info, t.Erased) {
		return bytes.Equal(existingTask.Info, t.Info)
	}
	return existingTask.hash == "" || s.keyring.MatchesHash(existingTask.hash, t.Info)
}

const (
	acceptanceOf = `SELECT ordering_key, created_at FROM console_tasks WHERE id = $1`
	newestTask   = `SELECT COALESCE(max(id), 0) FROM console_tasks`
)

// Acceptance returns how a task was accepted; see job.Acceptance.
func (s *Store) Acceptance(ctx context.Context, id int64) (a job.Acceptance, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var at time.Time
	err = s.db.QueryRowContext(ctx, acceptanceOf, id).Scan(&a.OrderingKey, &at)
	if errors.Is(err, sql.ErrNoRows) {
		err = s.db.QueryRowContext(ctx, newestTask).Scan(&a.Newest)
		return a, err
	}
	a.Found, a.At = err == nil, at.UTC().Format(time.RFC3339Nano)
	return a, err
}
