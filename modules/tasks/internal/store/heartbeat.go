package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/version"
)

// ErrLeaseLost is returned if the row of this process was deleted: other processes have recovered its tasks.
var ErrLeaseLost = errors.New("the lease was lost")

// Heartbeats writes the heartbeats of this process, on a connection of their own, to a table that no other work locks.
type Heartbeats struct {
	conn    *database.Heartbeat
	config  *config.Config
	version version.Version
}

// NewHeartbeats returns Heartbeats on conn of a process with this version.
func NewHeartbeats(conn *database.Heartbeat, c *config.Config, v version.Version) *Heartbeats {
	return &Heartbeats{conn: conn, config: c, version: v}
}

const registerProcess = `INSERT INTO inner_processes (id, host, version, takeover_after_seconds) VALUES ($1, $2, $3, $4)`

// Register inserts a new identity.
func (h *Heartbeats) Register(ctx context.Context, process, host string) error {
	_, err := h.exec(ctx, registerProcess, process, host, string(h.version), h.config.Tasks.TakeoverAfter.Seconds())
	return err
}

// The time is for people. Other processes only compare whether it has changed.
const renewProcess = `
UPDATE inner_processes SET heartbeat_at = LOCALTIMESTAMP, waiting_claims = $2, oldest_waiting_seconds = $3, overrun_jobs = $4,
    running_tasks = $5
WHERE id = $1`

// Load is the number of claimed tasks of a process.
type Load struct {
	// Waiting is the number of claims that no worker has started, and Oldest how long, in seconds, the oldest of them
	// has waited.
	Waiting int64
	Oldest  float64
	// Overrun is the number of jobs that are still running after they were cancelled.
	Overrun int64
	// Running are the ids of the tasks that workers run.
	Running []int64
}

// running returns the ids as they are stored, each between commas.
func (l Load) running() string {
	if len(l.Running) == 0 {
		return ""
	}
	text := []byte{','}
	for _, id := range l.Running {
		text = append(strconv.AppendInt(text, id, 10), ',')
	}
	return string(text)
}

// Renew writes a heartbeat, or returns ErrLeaseLost.
func (h *Heartbeats) Renew(ctx context.Context, process string, l Load) error {
	n, err := h.exec(ctx, renewProcess, process, l.Waiting, l.Oldest, l.Overrun, l.running())
	if err == nil && n == 0 {
		return ErrLeaseLost
	}
	return err
}

const unregisterProcess = `DELETE FROM inner_processes WHERE id = $1`

// Unregister deletes a process that stops, so that no other process has to wait until it is presumed dead.
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

// Replica is a process that is registered with the queue.
type Replica struct {
	// ID is its current identity in claimed_by.
	ID, Host string
	// Version is "" for a release that did not record it.
	Version string
	// Started is when it registered that identity, in UTC, and StartedAge the time in seconds since then, by the database's
	// clock.
	Started    time.Time
	StartedAge float64
	// HeartbeatAge is the time in seconds since its last heartbeat, by the database's clock. It is for display only.
	HeartbeatAge float64
	// Claimed is the number of its processing tasks, and Running that of those that it runs.
	Claimed, Running int64
	// Load is as of its last heartbeat.
	Load Load
}

const listReplicas = `
SELECT p.id, p.host, p.version, p.started_at, CAST(EXTRACT(EPOCH FROM LOCALTIMESTAMP - p.started_at) AS FLOAT8),
    CAST(EXTRACT(EPOCH FROM LOCALTIMESTAMP - p.heartbeat_at) AS FLOAT8),
    (SELECT count(*) FROM console_tasks t WHERE t.task_status = 'processing' AND t.claimed_by = p.id),
    (SELECT count(*) FROM console_tasks t WHERE t.task_status = 'processing' AND t.claimed_by = p.id
        AND strpos(p.running_tasks, ',' || CAST(t.id AS TEXT) || ',') > 0),
    p.waiting_claims, p.oldest_waiting_seconds, p.overrun_jobs
FROM inner_processes p ORDER BY p.host, p.started_at, p.id`

// Replicas returns the registered processes, including those that died recently.
func (s *Store) Replicas(ctx context.Context) ([]Replica, error) {
	return collect(ctx, s, s.db, listReplicas, func(rows *sql.Rows, r *Replica) error {
		err := rows.Scan(&r.ID, &r.Host, &r.Version, &r.Started, &r.StartedAge, &r.HeartbeatAge, &r.Claimed, &r.Running,
			&r.Load.Waiting, &r.Load.Oldest, &r.Load.Overrun)
		r.HeartbeatAge = max(r.HeartbeatAge, 0) // the clock may have been set back
		return err
	})
}
