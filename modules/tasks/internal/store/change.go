package store

import (
	"context"
)

// Both changes are fenced by the state in which the task was seen: of two who want them one is refused.
const (
	retryTask = `
UPDATE console_tasks SET task_status = 'pending', task_detailed_status = $3, attempts = 0, takeovers = 0, woken = false, claimed_by = '',
    run_at = ` + atOnce + `, started_at = NULL, finished_at = NULL
WHERE id = $1 AND task_status = $2 AND task_status IN ('error', 'cancelled', 'superseded')`

	cancelTask = `
UPDATE console_tasks SET task_status = 'cancelled', task_detailed_status = $3, finished_at = LOCALTIMESTAMP
WHERE id = $1 AND task_status = $2 AND task_status IN ('pending', 'waiting')`
)

// Retry makes an ended task pending, and tells whether it was in the state seen until then.
func (s *Store) Retry(ctx context.Context, id int64, seen Status, detail string) (bool, error) {
	n, err := s.exec(ctx, retryTask, id, string(seen), detail)
	return n > 0, err
}

// Cancel ends a pending or waiting task, and tells whether it was in the state seen until then.
func (s *Store) Cancel(ctx context.Context, id int64, seen Status, detail string) (bool, error) {
	n, err := s.exec(ctx, cancelTask, id, string(seen), detail)
	return n > 0, err
}

const makeDue = `
UPDATE console_tasks SET task_status = 'pending', run_at = ` + atOnce + `
WHERE id = $1 AND (task_status = 'waiting' OR (task_status = 'pending' AND run_at > LOCALTIMESTAMP))`

// MakeDue lets a task run that is parked or waits for a later time, and tells whether it was one.
func (s *Store) MakeDue(ctx context.Context, id int64) (bool, error) {
	n, err := s.exec(ctx, makeDue, id)
	return n > 0, err
}

const completeDiscarded = `
UPDATE console_tasks SET task_status = 'finished', task_detailed_status = 'finished after an earlier failure'
WHERE id = $1 AND task_status = 'error'`

// Heal makes a task that ended as an error a finished one.
func (s *Store) CompleteDiscarded(ctx context.Context, id int64) error {
	_, err := s.exec(ctx, completeDiscarded, id)
	return err
}

const eraseTask = `UPDATE console_tasks SET task_info = $2 WHERE id = $1`

// Erase replaces the payload of a task. It needs no claim: whoever erases has found the secrets in their place.
func (s *Store) EraseSecrets(ctx context.Context, id int64, info []byte) error {
	_, err := s.exec(ctx, eraseTask, id, string(info))
	return err
}
