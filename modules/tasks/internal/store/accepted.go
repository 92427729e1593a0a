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

const findByIdempotencyKey = `
SELECT id, task_type, task_info, COALESCE(info_hash, '') FROM console_tasks WHERE idempotency_key = $1`

// KeyedTask is a task that was accepted with an idempotency key.
type KeyedTask struct {
	job.Accepted
	// hash is of the accepted payload; "" if it has no secrets, and in rows of earlier releases.
	hash string
}

// FindByIdempotencyKey returns the task that was accepted with an idempotency key, nil if there is none.
func (s *Store) FindByIdempotencyKey(ctx context.Context, tx job.Tx, key string) (*KeyedTask, error) {
	rows, err := tx.QueryContext(ctx, findByIdempotencyKey, key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return nil, rows.Err()
	}
	var existing KeyedTask
	var info string
	if err := rows.Scan(&existing.ID, &existing.Type, &info, &existing.hash); err != nil {
		return nil, err
	}
	if existing.Info, err = s.keyring.Decrypt(info); err != nil {
		return nil, fmt.Errorf("task %d: %w", existing.ID, err)
	}
	return &existing, rows.Err()
}

// findExisting returns the task that was accepted earlier with t's idempotency key.
func (s *Store) findExisting(ctx context.Context, tx job.Tx, t NewTask) (Inserted, error) {
	existing, err := s.FindByIdempotencyKey(ctx, tx, t.IdempotencyKey)
	switch {
	case err != nil:
		return Inserted{}, err
	case existing == nil:
		return Inserted{}, sql.ErrNoRows
	case existing.Type != t.Type || !s.samePayload(existing, t):
		return Inserted{Found: true, Err: job.ErrKeyReused}, nil
	}
	return Inserted{ID: existing.ID, Found: true}, nil
}

// samePayload reports whether a task was accepted with t's payload. If its row has no secrets, because they were erased
// or it came without, their hash decides. A hash with an unknown key does not match: otherwise new secrets would never
// be applied.
func (s *Store) samePayload(existing *KeyedTask, t NewTask) bool {
	if t.Erased == nil || !bytes.Equal(existing.Info, t.Erased) {
		return bytes.Equal(existing.Info, t.Info)
	}
	return existing.hash == "" || s.keyring.MatchesHash(existing.hash, t.Info)
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
