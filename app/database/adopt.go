package database

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// oneTaskPerKey is the index that rows of an earlier release, which share the empty key, violate.
const oneTaskPerKey = "console_tasks_one_per_key"

// adoptPage is how many rows are changed at once.
const adoptPage = 1000

const (
	// Rows that an earlier release still writes get distinct keys by this default.
	ownKeys = `
ALTER TABLE console_tasks ALTER COLUMN ordering_key SET DEFAULT 'task/' || CAST(gen_random_uuid() AS TEXT)`

	// A task that has not ended is cancelled: it may be years old, or have been run without its row being updated. Retention
	// removes it later.
	adoptTasks = `
WITH old AS (
    SELECT id, COALESCE(task_status, '') AS status, COALESCE(task_status, '') IN ('finished', 'error', 'superseded', 'cancelled')
        AS over
    FROM console_tasks WHERE id > $1 AND ordering_key = '' ORDER BY id LIMIT $2)
UPDATE console_tasks AS c
SET ordering_key = 'task/' || CAST(c.id AS TEXT),
    task_status = CASE WHEN old.over THEN c.task_status ELSE 'cancelled' END,
    task_detailed_status = CASE WHEN old.over THEN c.task_detailed_status
        ELSE 'not run: left by an earlier release in the state "' || old.status || '"' END,
    finished_at = COALESCE(c.finished_at, CASE WHEN old.over THEN CAST(c.created_at AS TIMESTAMP) ELSE LOCALTIMESTAMP END)
FROM old WHERE c.id = old.id AND c.ordering_key = ''
RETURNING c.id, old.over`
)

// adoptTasks gives the rows of an earlier release, whose keys are empty, keys of their own, in batches. An interrupted run
// continues where it stopped.
func (r *migrationRun) adoptTasks(ctx context.Context) error {
	if err := r.setLockTimeout(ctx, true); err != nil {
		return err
	}
	if _, err := r.conn.ExecContext(ctx, ownKeys); err != nil {
		return err
	}
	var rows, cancelled int
	for after := int64(0); ; {
		last, n, not, err := r.adoptBatch(ctx, after)
		if err != nil {
			return err
		}
		if n == 0 && after == 0 {
			break
		}
		// Start again after the last page: ids are not committed in order.
		after, rows, cancelled, r.lastProgress = last, rows+n, cancelled+not, time.Now()
	}
	if rows > 0 {
		r.completed++
		r.progress(fmt.Sprintf("adopted %d tasks of an earlier release; %d of them had not ended and were cancelled", rows, cancelled))
	}
	return nil
}

// adoptBatch updates the next rows after an id. It returns the highest id, 0 for none, and the numbers of rows updated and
// cancelled.
func (r *migrationRun) adoptBatch(ctx context.Context, after int64) (last int64, rows, cancelled int, err error) {
	err = each(ctx, r.conn, adoptTasks, func(found *sql.Rows) error {
		var id int64
		var over bool
		if err := found.Scan(&id, &over); err != nil {
			return err
		}
		last, rows = max(last, id), rows+1
		if !over {
			cancelled++
		}
		return nil
	}, after, adoptPage)
	return last, rows, cancelled, err
}
