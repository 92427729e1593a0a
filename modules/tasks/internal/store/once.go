package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"

	"app238.com/inner/modules/tasks/job"
)

const findByKey = `SELECT id, task_type, task_info, COALESCE(info_hash, '') FROM console_tasks WHERE idempotency_key = $1`

// First is the task that was accepted first with an idempotency key.
type First struct {
	job.Accepted
	// hash is of the payload as it was accepted; "" where it holds no secrets, and in rows of earlier releases.
	hash string
}

// FindByKey returns the task that was accepted first with an idempotency key, nil where there is none.
func (s *Store) FindByKey(ctx context.Context, tx job.Tx, key string) (*First, error) {
	rows, err := tx.QueryContext(ctx, findByKey, key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return nil, rows.Err()
	}
	var first First
	var info string
	if err := rows.Scan(&first.ID, &first.Type, &info, &first.hash); err != nil {
		return nil, err
	}
	if first.Info, err = s.box.Open(info); err != nil {
		return nil, fmt.Errorf("task %d: %w", first.ID, err)
	}
	return &first, rows.Err()
}

// findFirst returns the task that was accepted first with this one's idempotency key.
func (s *Store) findFirst(ctx context.Context, tx job.Tx, t NewTask) (Inserted, error) {
	first, err := s.FindByKey(ctx, tx, t.IdempotencyKey)
	switch {
	case err != nil:
		return Inserted{}, err
	case first == nil:
		return Inserted{}, sql.ErrNoRows
	case first.Type != t.Type || !s.equal(first, t):
		return Inserted{Found: true, Fault: job.ErrKeyReused}, nil
	}
	return Inserted{ID: first.ID, Found: true}, nil
}

// equal tells whether a task was accepted with the payload that t has. Where its secrets are not in its row, be it that they
// were erased or that it came without, their hash tells; one whose key is gone tells nothing, and a payload that is not
// known to be the same is another one: else its secrets would never be applied.
func (s *Store) equal(first *First, t NewTask) bool {
	if t.Erased == nil || !bytes.Equal(first.Info, t.Erased) {
		return bytes.Equal(first.Info, t.Info)
	}
	return first.hash == "" || s.box.IsHash(first.hash, t.Info)
}
