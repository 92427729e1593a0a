package store

import (
	"context"
	"database/sql"

	"app238.com/inner/modules/tasks/job"
)

// This counts all tasks and reads the whole table.
const countTasks = `
SELECT lane, task_type, CASE WHEN ` + isRunning + ` THEN 'running' WHEN task_status = 'processing' THEN 'claimed' ELSE task_status END
    AS state, count(*) FROM console_tasks
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`

// Count returns the number of tasks by lane, type and state, with running and claimed ones instead of processing ones.
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

const countAfter = `
SELECT COALESCE((SELECT max(id) FROM console_tasks), 0), (SELECT count(*) FROM console_tasks WHERE id > $1::BIGINT)`

// CountAfter returns the id of the newest task, and the number of tasks with ids above after.
func (s *Store) CountAfter(ctx context.Context, after int64) (newest, n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = s.db.QueryRowContext(ctx, countAfter, after).Scan(&newest, &n)
	return newest, n, err
}

// Depth is the pending tasks of a lane.
type Depth struct {
	Lane    string
	Pending int64
	// OldestSeconds is the age of the oldest pending task.
	OldestSeconds float64
}

const depths = `
SELECT lane, count(*), CAST(EXTRACT(EPOCH FROM LOCALTIMESTAMP - min(created_at)) AS FLOAT8)
FROM console_tasks WHERE task_status = 'pending' GROUP BY lane ORDER BY lane`

// Depths returns the pending tasks by lane.
func (s *Store) Depths(ctx context.Context) ([]Depth, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	rows, err := s.db.QueryContext(ctx, depths)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []Depth
	for rows.Next() {
		var d Depth
		if err := rows.Scan(&d.Lane, &d.Pending, &d.OldestSeconds); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

// One SELECT for each state, so that each uses the partial index of its state instead of the whole table.
const countActive = `
SELECT 'pending', count(*) FROM console_tasks WHERE task_status = 'pending'
UNION ALL SELECT 'processing', count(*) FROM console_tasks WHERE task_status = 'processing'
UNION ALL SELECT 'waiting', count(*) FROM console_tasks WHERE task_status = 'waiting'`

// CountByStatus counts the pending, processing and waiting tasks.
func (s *Store) CountByStatus(ctx context.Context) (map[Status]int64, error) {
	type count struct {
		status Status
		n      int64
	}
	counts, err := collect(ctx, s, s.db, countActive, func(rows *sql.Rows, c *count) error { return rows.Scan(&c.status, &c.n) })
	byStatus := map[Status]int64{}
	for _, c := range counts {
		byStatus[c.status] = c.n
	}
	return byStatus, err
}
