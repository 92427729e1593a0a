package store

import (
	"context"
	"time"
)

const beat = `
INSERT INTO inner_processes (id, host) VALUES ($1, $2)
ON CONFLICT (id) DO UPDATE SET heartbeat_at = LOCALTIMESTAMP`

// Beat writes the process's sign of life.
func (s *Store) Beat(ctx context.Context, process, host string) error {
	_, err := s.exec(ctx, beat, process, host)
	return err
}

const forgetProcess = `DELETE FROM inner_processes WHERE id = $1`

// Forget removes a process that has ended, so that nobody waits for its silence.
func (s *Store) Forget(ctx context.Context, process string) error {
	_, err := s.exec(ctx, forgetProcess, process)
	return err
}

// The processing rows are few, and found by their partial index. What was taken over twice may be what ends the processes:
// it waits longer each time, and by chance, so that it parts from the tasks that had the bad luck to be taken with it.
const recoverTasks = `
UPDATE console_tasks SET task_status = 'pending', task_detailed_status = 'recovered from a process that ended', claimed_by = '',
    takeovers = takeovers + 1, run_at = LOCALTIMESTAMP + CASE WHEN takeovers < 2 THEN 0.0
        ELSE LEAST($3::FLOAT8, $2::FLOAT8 * power(2::FLOAT8, LEAST(takeovers, 30)::FLOAT8)) * (0.5 + random()) END * INTERVAL '1 second'
WHERE task_status = 'processing' AND claimed_by NOT IN (
    SELECT id FROM inner_processes WHERE heartbeat_at > LOCALTIMESTAMP - $1::FLOAT8 * INTERVAL '1 second')`

const forgetSilent = `
DELETE FROM inner_processes WHERE heartbeat_at < LOCALTIMESTAMP - $1::FLOAT8 * INTERVAL '1 second'`

// Recover returns to the queue what is held by processes that have been silent for longer than after, and forgets
// those processes once they have been silent for much longer.
func (s *Store) Recover(ctx context.Context, after time.Duration) (int64, error) {
	n, err := s.exec(ctx, recoverTasks, after.Seconds(), s.delay, s.delayMax)
	if err != nil {
		return n, err
	}
	_, err = s.exec(ctx, forgetSilent, 20*after.Seconds())
	return n, err
}
