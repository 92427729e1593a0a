package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

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

// Once its row is gone a process can renew its lease no more. One that is being written is not silent: it is not waited for.
const removeProcess = `
DELETE FROM inner_processes WHERE id IN (
    SELECT id FROM inner_processes WHERE id = $1 AND CAST(heartbeat_at AS TEXT) = $2 FOR UPDATE SKIP LOCKED)`

// An identity is used once, so whatever names it belongs to the process that ended, however late it was written. The
// processing rows are few, and found by their partial index. What was taken over twice may be what ends the processes:
// it waits longer each time, and by chance, so that it parts from the tasks that had the bad luck to be taken with it.
const recoverTasks = `
UPDATE console_tasks SET task_status = 'pending', task_detailed_status = 'recovered from a process that ended', claimed_by = '',
    takeovers = takeovers + 1, run_at = CASE WHEN takeovers < 2 THEN ` + atOnce + ` ELSE LOCALTIMESTAMP +
        LEAST($3::FLOAT8, $2::FLOAT8 * power(2::FLOAT8, LEAST(takeovers, 30)::FLOAT8)) * (0.5 + random()) * INTERVAL '1 second' END
WHERE task_status = 'processing' AND claimed_by = $1`

// Recover returns to the queue what a silent process holds, and removes it. It does nothing where the process has given
// a heartbeat since it was observed.
func (s *Store) Recover(ctx context.Context, p Process) (recovered int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = database.Retry(ctx, func(ctx context.Context) (err error) {
		recovered, err = s.recoverOnce(ctx, p)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("recover tasks: %w", err)
	}
	return recovered, nil
}

func (s *Store) recoverOnce(ctx context.Context, p Process) (int64, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	if p.Heartbeat != "" {
		if n, err := rowsAffected(tx.ExecContext(ctx, removeProcess, p.ID, p.Heartbeat)); err != nil || n == 0 {
			return 0, err
		}
	}
	n, err := rowsAffected(tx.ExecContext(ctx, recoverTasks, p.ID, s.delay, s.delayMax))
	if err != nil {
		return 0, err
	}
	return n, tx.Commit()
}

func rowsAffected(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
