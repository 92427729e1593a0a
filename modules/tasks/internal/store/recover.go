package store

import (
	"context"
	"database/sql"
	"fmt"

	"app238.com/inner/app/database"
)

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
