package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"app238.com/inner/app/database"
)

// ErrLostLease says that the row of a process is not there any more: others have taken over its tasks.
var ErrLeaseLost = errors.New("the process was taken for dead")

// Heartbeats writes the heartbeats of this process, on a connection of their own and to no table that other work locks.
type Heartbeats struct{ conn *database.Heartbeat }

// NewHeartbeats returns Heartbeats on conn.
func NewHeartbeats(conn *database.Heartbeat) *Heartbeats { return &Heartbeats{conn: conn} }

const registerProcess = `INSERT INTO inner_processes (id, host) VALUES ($1, $2)`

// Begin makes an identity known that was never used before.
func (h *Heartbeats) Register(ctx context.Context, process, host string) error {
	_, err := h.exec(ctx, registerProcess, process, host)
	return err
}

// The time is for people. For other processes it is a value that changes.
const renewProcess = `
UPDATE inner_processes SET heartbeat_at = LOCALTIMESTAMP, waiting_claims = $2, oldest_waiting_seconds = $3, overrun_jobs = $4
WHERE id = $1`

// Load is what a process has claimed and not yet done.
type Load struct {
	// Waiting is how many claims no worker has begun, and Oldest for how long, in seconds, the oldest of them has waited.
	Waiting int64
	Oldest  float64
	// Overrun is how many jobs go on though they were told to end.
	Overrun int64
}

// Renew writes a heartbeat, or returns ErrLostLease.
func (h *Heartbeats) Renew(ctx context.Context, process string, l Load) error {
	n, err := h.exec(ctx, renewProcess, process, l.Waiting, l.Oldest, l.Overrun)
	if err == nil && n == 0 {
		return ErrLeaseLost
	}
	return err
}

const unregisterProcess = `DELETE FROM inner_processes WHERE id = $1`

// Forget removes a process that has ended, so that nobody waits for its silence.
func (h *Heartbeats) Unregister(ctx context.Context, process string) error {
	_, err := h.exec(ctx, unregisterProcess, process)
	return err
}

func (h *Heartbeats) exec(ctx context.Context, query string, args ...any) (int64, error) {
	n, err := h.conn.Exec(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("inner_processes: %w", err)
	}
	return n, nil
}

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
