package store

import (
	"context"
	"time"
)

// A page is scanned by primary key, so that no extra index is needed. The scan ends at a row that was accepted after
// the shorter retention began: it cannot have ended before, and the rows after it are younger. A row that was accepted
// in the future was accepted before the database's clock was set back, and does not end the scan. Rows of an earlier
// release have no finished_at: their created_at counts.
const (
	retentionPage = `
SELECT COALESCE(max(p.id), 0), COALESCE(bool_or(p.young), true) FROM (
    SELECT id, created_at BETWEEN LOCALTIMESTAMP - $2::FLOAT8 * INTERVAL '1 second' AND LOCALTIMESTAMP AS young FROM console_tasks
    WHERE id > $1 ORDER BY id LIMIT $3) AS p`
	deleteExpired = `
DELETE FROM console_tasks WHERE id > $1 AND id <= $2
  AND ((task_status IN ('finished', 'superseded', 'cancelled') AND COALESCE(finished_at, created_at) < LOCALTIMESTAMP -
      $3::FLOAT8 * INTERVAL '1 second')
    OR (task_status = 'error' AND COALESCE(finished_at, created_at) < LOCALTIMESTAMP - $4::FLOAT8 * INTERVAL '1 second'))`
)

// DeleteExpired deletes ended tasks among the next page rows after the id after: finished ones older than finished,
// failed ones older than failed. It returns the last id of the page, 0 at the end, and the number of deleted rows.
func (s *Store) DeleteExpired(ctx context.Context, after int64, page int, finished,
	failed time.Duration) (last, deleted int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var end bool
	err = s.db.QueryRowContext(ctx, retentionPage, after, min(finished, failed).Seconds(), page).Scan(&last, &end)
	if err != nil || last == 0 {
		return 0, 0, err
	}
	deleted, err = s.exec(ctx, deleteExpired, after, last, finished.Seconds(), failed.Seconds())
	if end {
		last = 0
	}
	return last, deleted, err
}
