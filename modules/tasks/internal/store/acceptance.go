package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"app238.com/inner/modules/tasks/job"
)

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
