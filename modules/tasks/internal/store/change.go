package store

import (
	"context"
)

// Both changes are fenced by the observed state: of two concurrent ones, one is refused.
const (
	retryTask = `
UPDATE console_tasks SET task_status = 'pending', task_detailed_status = $3, attempts = 0, takeovers = 0, woken = false,
    claimed_by = '',
    run_at = ` + dueNow + `, started_at = NULL, finished_at = NULL
WHERE id = $1 AND task_status = $2 AND task_status IN ('error', 'cancelled', 'superseded')`

	cancelTask = `
UPDATE console_tasks SET task_status = 'cancelled', task_detailed_status = $3, finished_at = LOCALTIMESTAMP
WHERE id = $1 AND task_status = $2 AND task_status IN ('pending', 'waiting')`
)

// Retry makes an ended task pending, and reports whether it was in the observed state.
func (s *Store) Retry(ctx context.Context, id int64, observed Status, detail string) (bool, error) {
	n, err := s.exec(ctx, retryTask, id, string(observed), detail)
	return n > 0, err
}

// Cancel ends a pending or waiting task, and reports whether it was in the observed state.
func (s *Store) Cancel(ctx context.Context, id int64, observed Status, detail string) (bool, error) {
	n, err := s.exec(ctx, cancelTask, id, string(observed), detail)
	return n > 0, err
}

const makeDue = `
UPDATE console_tasks SET task_status = 'pending', run_at = ` + dueNow + `
WHERE id = $1 AND (task_status = 'waiting' OR (task_status = 'pending' AND run_at > LOCALTIMESTAMP))`

// MakeDue makes a parked or delayed task due, and reports whether it was one.
func (s *Store) MakeDue(ctx context.Context, id int64) (bool, error) {
	n, err := s.exec(ctx, makeDue, id)
	return n > 0, err
}

const completeDiscarded = `
UPDATE console_tasks SET task_status = 'finished', task_detailed_status = 'finished after an earlier failure'
WHERE id = $1 AND task_status = 'error'`

// CompleteDiscarded marks a discarded task finished.
func (s *Store) CompleteDiscarded(ctx context.Context, id int64) error {
	_, err := s.exec(ctx, completeDiscarded, id)
	return err
}

const eraseTask = `UPDATE console_tasks SET task_info = $2 WHERE id = $1`

// EraseSecrets replaces the payload of a task. It needs no claim: the caller has applied the secrets.
func (s *Store) EraseSecrets(ctx context.Context, id int64, info []byte) error {
	_, err := s.exec(ctx, eraseTask, id, string(info))
	return err
}
