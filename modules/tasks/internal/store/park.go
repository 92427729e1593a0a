package store

import (
	"context"
	"time"

	"app238.com/inner/app/logging"
)

// A task names a claimer only while it is being processed. The status is not asked for: then only the primary key can
// serve, and not the index of what is being processed, which is full of dead entries.
const fencedByClaim = ` WHERE id = $1 AND claimed_by = $2 AND claim_number = $3`

const requeueTask = `
UPDATE console_tasks SET task_status = 'pending', task_detailed_status = $4, last_error = $5, attempts = attempts + $6::INTEGER,
    attempt_errors = attempt_errors || $7::TEXT, claimed_by = '', run_at = LOCALTIMESTAMP + $8::FLOAT8 * INTERVAL '1 second'` + fencedByClaim

// Again returns a task to the queue, not to be run before wait has passed; of e it writes all but the status.
func (s *Store) Requeue(ctx context.Context, e Completion, wait time.Duration) error {
	e = e.printable()
	return s.execFenced(ctx, requeueTask, e.Claim, e.Detail, e.LastError, e.Attempts, e.AttemptError, wait.Seconds())
}

const parkTask = `
UPDATE console_tasks SET task_status = CASE WHEN woken THEN 'pending' ELSE 'waiting' END, task_detailed_status = $4,
    claimed_by = '', run_at = CASE WHEN woken THEN ` + atOnce + ` ELSE LOCALTIMESTAMP + $5::FLOAT8 * INTERVAL '1 second' END` + fencedByClaim

// Park lets a task wait until it is woken, or until recheck has passed; of e it writes the detail. One that was woken while
// it ran is pending.
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
UPDATE console_tasks SET task_status = 'pending', run_at = ` + atOnce + ` WHERE ordering_key = $1 AND task_status = 'waiting'`
	resumeRunning = `
UPDATE console_tasks SET woken = true WHERE ordering_key = $1 AND task_status = 'processing' AND NOT woken`
	resumeDue = `
UPDATE console_tasks SET task_status = 'pending', run_at = ` + atOnce + ` WHERE task_status = 'waiting' AND run_at <= LOCALTIMESTAMP`
)

// Wake makes the parked tasks of a key pending, and marks the running one so that it is not parked. The running one is
// marked first: a task is at each moment either marked, or found parked afterwards.
func (s *Store) Resume(ctx context.Context, orderingKey string) error {
	_, err := s.exec(ctx, resumeRunning, orderingKey)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, resumeParked, orderingKey)
	return err
}

// WakeLate makes those parked tasks pending whose recheck is due.
func (s *Store) ResumeDue(ctx context.Context) (int64, error) { return s.exec(ctx, resumeDue) }

const (
	reschedulePending = `
UPDATE console_tasks SET run_at = ` + atOnce + ` WHERE task_status = 'pending' AND run_at > LOCALTIMESTAMP + $1::FLOAT8 * INTERVAL '1 second'`
	rescheduleParked = `
UPDATE console_tasks SET task_status = 'pending', run_at = ` + atOnce + `
WHERE task_status = 'waiting' AND run_at > LOCALTIMESTAMP + $1::FLOAT8 * INTERVAL '1 second'`
)

// Hasten makes tasks due that are put off for longer than longest, which none ever is unless the database's clock was set
// back, and returns how many there were.
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

// EndParked writes the last state of the parked tasks of a key with an id below before.
func (s *Store) CancelParked(ctx context.Context, orderingKey string, before int64, status Status, text string) error {
	_, err := s.exec(ctx, cancelParked, orderingKey, before, string(status), logging.Printable(text))
	return err
}
