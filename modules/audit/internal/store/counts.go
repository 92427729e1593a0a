package store

import (
	"context"

	"app238.com/inner/ent"
	"app238.com/inner/modules/audit/admin"
)

// The statements of this file are raw SQL: the first updates on conflict, the second uses the database's time, and the third
// compares and counts at once.
const recordCounts = `
INSERT INTO inner_audit_counts (task_id, kind, things, row_count, missing, stuck, ownerless, orphans, repaired, deleted, refusal)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (task_id, kind) DO UPDATE SET things = excluded.things, row_count = excluded.row_count,
    missing = excluded.missing, stuck = excluded.stuck, ownerless = excluded.ownerless, orphans = excluded.orphans,
    repaired = excluded.repaired, deleted = excluded.deleted, refusal = excluded.refusal`

// Record records what an audit counted of a kind. Deletions that were reserved before stay counted.
func (s *Store) Record(ctx context.Context, task int64, k admin.Kind) error {
	return s.retry(ctx, func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, recordCounts, task, k.Kind, k.Objects, k.Rows, k.Missing, k.Stuck, k.Ownerless,
			k.Orphans, k.Repaired, k.Deleted, k.Refusal)
		return err
	})
}

const maxRows = `
SELECT COALESCE(max(row_count), 0) FROM inner_audit_counts
WHERE kind = $1 AND task_id <> $2
  AND (created_at > LOCALTIMESTAMP - $3::FLOAT8 * INTERVAL '1 second'
       OR task_id = (SELECT max(task_id) FROM inner_audit_counts WHERE kind = $1 AND task_id <> $2))`

// MaxRows returns the largest number of rows of a kind that was counted by the last audit or by any within the window, except
// by the audit of this task; 0 if there was none.
func (s *Store) MaxRows(ctx context.Context, task int64, kind string) (rows int64, err error) {
	err = s.retry(ctx, func(ctx context.Context) error {
		return s.db.QueryRowContext(ctx, maxRows, kind, task, s.window.Seconds()).Scan(&rows)
	})
	return rows, err
}

const reserveDeletion = `
UPDATE inner_audit_counts SET deletions = deletions + 1
WHERE task_id = $1 AND kind = $2 AND deletions < $3
  AND (SELECT sum(deletions) FROM inner_audit_counts WHERE task_id = $1) < $4`

// Limits are how many deletions an audit may make.
type Limits struct {
	// Kind is the limit of one kind, All that of all kinds together.
	Kind, All int64
}

// Reserve counts one more deletion of an audit before it is made, and reports whether the limits allow it. An audit that is
// killed and run again continues the same count.
func (s *Store) Reserve(ctx context.Context, task int64, kind string, limits Limits) (allowed bool, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		result, err := tx.ExecContext(ctx, reserveDeletion, task, kind, limits.Kind, limits.All)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		allowed = n > 0
		return err
	})
	return allowed, err
}
