package store

import (
	"context"
	"database/sql"
	"fmt"

	"app238.com/inner/app/database"
)

// Once its row is deleted a process cannot renew its lease. A row that is locked is being renewed and is skipped.
const removeProcess = `
DELETE FROM inner_processes WHERE id IN (
    SELECT id FROM inner_processes WHERE id = $1 AND CAST(heartbeat_at AS TEXT) = $2 FOR UPDATE SKIP LOCKED)`

// An identity is used once, so every task with it belongs to the dead process, however late it was written. The
// processing rows are few and found by their partial index. A task that was recovered twice may be what kills the
// processes: its delay grows, at random, so that it is separated from the tasks that were claimed together with it.
const recoverTasks = `
UPDATE console_tasks SET task_status = 'pending', task_detailed_status = 'recovered from a process that ended', claimed_by = '',
    takeovers = takeovers + 1, run_at = CASE WHEN takeovers < 2 THEN ` + dueNow + ` ELSE LOCALTIMESTAMP +
        LEAST($3::FLOAT8, $2::FLOAT8 * power(2::FLOAT8, LEAST(takeovers, 30)::FLOAT8)) * (0.5 + random()) * INTERVAL '1 second'
            END
WHERE task_status = 'processing' AND claimed_by = $1`

// Recover returns the tasks of a dead process to the queue and deletes its row. It does nothing if the process has sent
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
