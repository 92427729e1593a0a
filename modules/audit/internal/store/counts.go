package store

import (
	"context"
	"database/sql"

	"app238.com/inner/modules/audit/admin"
)

const recordCounts = `
INSERT INTO inner_audit_counts (task_id, kind, things, row_count, missing, stuck, ownerless, orphans, repaired, deleted, refusal)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (task_id, kind) DO UPDATE SET things = excluded.things, row_count = excluded.row_count,
    missing = excluded.missing, stuck = excluded.stuck, ownerless = excluded.ownerless, orphans = excluded.orphans,
    repaired = excluded.repaired, deleted = excluded.deleted, refusal = excluded.refusal`

// Record writes what an audit counted of a kind. The deletions that were reserved before stay counted.
func (l *Store) Record(ctx context.Context, task int64, k admin.Kind) error {
	return l.read(ctx, func(ctx context.Context) error {
		_, err := l.db.ExecContext(ctx, recordCounts, task, k.Kind, k.Things, k.Rows, k.Missing, k.Stuck, k.Ownerless,
			k.Orphans, k.Repaired, k.Deleted, k.Refusal)
		return err
	})
}

const mostRows = `
SELECT COALESCE(max(row_count), 0) FROM inner_audit_counts
WHERE kind = $1 AND task_id <> $2
  AND (created_at > LOCALTIMESTAMP - $3::FLOAT8 * INTERVAL '1 second'
       OR task_id = (SELECT max(task_id) FROM inner_audit_counts WHERE kind = $1 AND task_id <> $2))`

// MostRows returns the largest number of rows of a kind that audits within the window, and the last one however old,
// have counted, the one of this task left out; 0 where there was none.
func (l *Store) MostRows(ctx context.Context, task int64, kind string) (most int64, err error) {
	err = l.read(ctx, func(ctx context.Context) error {
		return l.db.QueryRowContext(ctx, mostRows, kind, task, l.window.Seconds()).Scan(&most)
	})
	return most, err
}

const reserveDeletion = `
UPDATE inner_audit_counts SET deletions = deletions + 1
WHERE task_id = $1 AND kind = $2 AND deletions < $3
  AND (SELECT sum(deletions) FROM inner_audit_counts WHERE task_id = $1) < $4`

// Limits are the most deletions of an audit.
type Limits struct {
	// Kind is that of one kind, All that of all kinds together.
	Kind, All int64
}

// Reserve counts one more deletion of an audit before it is tried, and tells whether the limits allow it. An audit that
// is killed and run again goes on with the same count.
func (l *Store) Reserve(ctx context.Context, task int64, kind string, limits Limits) (allowed bool, err error) {
	err = l.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
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
