package store

import (
	"context"
	"time"

	"app238.com/inner/app/logging"
)

// Only a processing task has a claimer. The status is not compared, so that only the primary key can serve, and not the
// index of processing tasks, which is full of dead entries.
const fencedByClaim = ` WHERE id = $1 AND claimed_by = $2 AND claim_number = $3`

const requeueTask = `
UPDATE console_tasks SET task_status = 'pending', task_detailed_status = $4, last_error = $5, attempts = attempts + $6::INTEGER,
    attempt_errors = attempt_errors || $7::TEXT, claimed_by = '', run_at = LOCALTIMESTAMP + $8::FLOAT8 * INTERVAL '1 second'` + fencedByClaim

// Requeue makes a task pending after a delay, with all of e except its status.
func (s *Store) Requeue(ctx context.Context, e Completion, delay time.Duration) error {
	e = e.printable()
	return s.execFenced(ctx, requeueTask, e.Claim, e.Detail, e.LastError, e.Attempts, e.AttemptError, delay.Seconds())
}

const parkTask = `
UPDATE console_tasks SET task_status = CASE WHEN woken THEN 'pending' ELSE 'waiting' END, task_detailed_status = $4,
    claimed_by = '', run_at = CASE WHEN woken THEN ` + dueNow + ` ELSE LOCALTIMESTAMP + $5::FLOAT8 * INTERVAL '1 second' END` + fencedByClaim

// Park makes a task wait until it is resumed, or until recheck has passed, with e's detail. A task that was resumed
// while it ran becomes pending.
func (s *Store) Park(ctx context.Context, e Completion, recheck time.Duration) error {
	return s.execFenced(ctx, parkTask, e.Claim, e.printable().Detail, recheck.Seconds())
}

func (s *Store) execFenced(ctx context.Context, query string, c Claim, args ...any) error {
	n, err := s.exec(ctx, query, append([]any{c.ID, c.Process, c.Number}, args...)...)
	if err == nil && n == 0 {
		return ErrClaimLost
	}
	return err
}

const (
	resumeParked = `
UPDATE console_tasks SET task_status = 'pending', run_at = ` + dueNow + ` WHERE ordering_key = $1 AND task_status = 'waiting'`
	resumeRunning = `
UPDATE console_tasks SET woken = true WHERE ordering_key = $1 AND task_status = 'processing' AND NOT woken`
	resumeDue = `
UPDATE console_tasks SET task_status = 'pending', run_at = ` + dueNow + ` WHERE task_status = 'waiting' AND run_at <= LOCALTIMESTAMP`
)

// Resume makes the parked tasks of a key pending, and marks the running one so that it is not parked. It marks first:
// at each moment a task is either marked, or found parked afterwards.
func (s *Store) Resume(ctx context.Context, orderingKey string) error {
	_, err := s.exec(ctx, resumeRunning, orderingKey)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, resumeParked, orderingKey)
	return err
}

// ResumeDue makes parked tasks pending whose recheck is due.
func (s *Store) ResumeDue(ctx context.Context) (int64, error) { return s.exec(ctx, resumeDue) }

const (
	reschedulePending = `
UPDATE console_tasks SET run_at = ` + dueNow + ` WHERE task_status = 'pending' AND run_at > LOCALTIMESTAMP + $1::FLOAT8 * INTERVAL '1 second'`
	rescheduleParked = `
UPDATE console_tasks SET task_status = 'pending', run_at = ` + dueNow + `
WHERE task_status = 'waiting' AND run_at > LOCALTIMESTAMP + $1::FLOAT8 * INTERVAL '1 second'`
)

// Reschedule makes tasks due that are delayed by more than longest, which happens only if the database's clock was set
// back. It returns their number.
func (s *Store) Reschedule(ctx context.Context, longest time.Duration) (int64, error) {
	pending, err := s.exec(ctx, reschedulePending, longest.Seconds())
	if err != nil {
		return 0, err
	}
	parked, err := s.exec(ctx, rescheduleParked, longest.Seconds())
	return pending + parked, err
}

const cancelParked = `
UPDATE console_tasks SET task_status = $3, task_detailed_status = $4, finished_at = LOCALTIMESTAMP
WHERE ordering_key = $1 AND task_status = 'waiting' AND id < $2`

// CancelParked ends the parked tasks of a key with an id below before.
func (s *Store) CancelParked(ctx context.Context, orderingKey string, before int64, status Status, text string) error {
	_, err := s.exec(ctx, cancelParked, orderingKey, before, string(status), logging.Printable(text))
	return err
}
