package store

import (
	"context"
	"database/sql"
	"time"
)

// Replica is a process that is known to the queue.
type Replica struct {
	// ID is the identity under which it claims tasks now.
	ID, Host string
	// Started is when it took that identity, in UTC.
	Started time.Time
	// Silence is the time in seconds since its last heartbeat, by the database's clock: for people, it decides nothing.
	HeartbeatAge float64
	// Running counts the tasks that it has claimed.
	Claimed int64
	// Load is what it said of itself with that heartbeat.
	Load Load
}

const listReplicas = `
SELECT p.id, p.host, p.started_at, CAST(EXTRACT(EPOCH FROM LOCALTIMESTAMP - p.heartbeat_at) AS FLOAT8),
    (SELECT count(*) FROM console_tasks t WHERE t.task_status = 'processing' AND t.claimed_by = p.id),
    p.waiting_claims, p.oldest_waiting_seconds, p.overrun_jobs
FROM inner_processes p ORDER BY p.host, p.started_at, p.id`

// Replicas returns the processes that have given a sign of life lately, those that ended without a word included.
func (s *Store) Replicas(ctx context.Context) ([]Replica, error) {
	return collect(ctx, s, s.db, listReplicas, func(rows *sql.Rows, r *Replica) error {
		err := rows.Scan(&r.ID, &r.Host, &r.Started, &r.HeartbeatAge, &r.Claimed, &r.Load.Waiting, &r.Load.Oldest, &r.Load.Overrun)
		r.HeartbeatAge = max(r.HeartbeatAge, 0) // the clock may have been set back
		return err
	})
}

// One SELECT for each state, so that each is answered from that state's partial index and not from the whole table.
const countActive = `
SELECT 'pending', count(*) FROM console_tasks WHERE task_status = 'pending'
UNION ALL SELECT 'processing', count(*) FROM console_tasks WHERE task_status = 'processing'
UNION ALL SELECT 'waiting', count(*) FROM console_tasks WHERE task_status = 'waiting'`

// CountByStatus counts the tasks that have not ended.
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
