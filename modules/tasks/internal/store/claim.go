package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/job"
)

// Claim is a task that a process has taken to run it.
type Claim struct {
	ID   int64
	Type string
	Info []byte
	// Prepared is the task as this process accepted it, or nil where its payload has to be decoded.
	Prepared *job.Prepared
	// Fault says why Info could not be read, or is nil.
	Fault error
	// Process and Number fence the claimer's writes.
	Process string
	Number  int64
	// Attempts are those before this one, and Takeovers the processes that ended while they had the task.
	Attempts, Takeovers int
	// Age is the time since the task was accepted when it was claimed, in seconds of the database's clock.
	Age float64
	// TraceParent names the trace of the request that the task came with; "" where it is not traced.
	TraceParent string
	// Since is when it was claimed, by this process's clock.
	Since time.Time
}

// Held names a claim among those of its process: a task that a process claims again has another number.
type ClaimKey struct{ ID, Number int64 }

// Held returns what names the claim.
func (c Claim) Key() ClaimKey { return ClaimKey{ID: c.ID, Number: c.Number} }

// atOnce is run_at of what was not put off: it is due whatever a clock says.
const atOnce = `TIMESTAMP '1970-01-01 00:00:00'`

// A task is the head of its ordering key when no other of the key is being processed and no earlier one is pending.
// Where two processes take two tasks of one key at the same moment, the unique index refuses one of them.
//
// The heads are materialized: as a plain subquery they may be looked up more than once, and LIMIT would not hold. What
// disqualifies a task is asked so that PostgreSQL expects most tasks to pass (IS NOT NULL): then it walks the index in its
// order and stops at the limit, where it would else look at the whole backlog for every claim. Of the earlier ones the
// nearest is looked for first: the index still holds those of the key that have ended, in front.
const (
	claimBegin = `
WITH heads AS MATERIALIZED (
    SELECT t.id FROM console_tasks t
    WHERE t.run_at <= LOCALTIMESTAMP
      AND (SELECT CASE WHEN count(*) = 0 THEN 1 END FROM (SELECT 1 FROM console_tasks e
           WHERE e.ordering_key = t.ordering_key AND e.task_status = 'pending' AND e.id < t.id ORDER BY e.id DESC LIMIT 1) AS earlier) IS NOT NULL
      AND (SELECT CASE WHEN count(*) = 0 THEN 1 END FROM (SELECT 1 FROM console_tasks e
           WHERE e.ordering_key = t.ordering_key AND e.task_status = 'processing' LIMIT 1) AS running) IS NOT NULL
      AND `
	claimEnd = `
    FOR UPDATE SKIP LOCKED)
UPDATE console_tasks AS c
SET task_status = 'processing', task_detailed_status = 'claimed', claimed_by = $1, claim_number = c.claim_number + 1,
    woken = false, started_at = LOCALTIMESTAMP
FROM heads WHERE c.id = heads.id AND c.claimed_by = ''
RETURNING c.id, c.task_type, c.task_info, c.claim_number, c.attempts, c.takeovers,
    CAST(EXTRACT(EPOCH FROM LOCALTIMESTAMP - c.created_at) AS FLOAT8), COALESCE(c.trace_parent, '')`

	// A range instead of an equality, so that only the index on (lane, id) has the order: with an equality the primary key
	// has it too. That index is only for lanes with a name, so that nothing else in the statement can use it. It begins at an
	// id: CockroachDB keeps what has left the index for hours, and would walk over all of it in front of what is there.
	claimOfLane = claimBegin + `t.task_status = 'pending' AND (t.lane, t.id) >= ($2::TEXT, $4::BIGINT) AND t.lane <= $2::TEXT AND t.lane <> ''
    ORDER BY t.lane, t.id LIMIT $3` + claimEnd
	// Here the state is asked for so that no index on it can serve, only the primary key.
	claimByID = claimBegin + `CASE t.task_status WHEN 'pending' THEN 1 END IS NOT NULL AND t.id = ANY ($2::BIGINT[]) LIMIT $3` + claimEnd
)

// Claim takes at most limit tasks of a lane with ids from lowest on for process, the oldest first.
func (s *Store) Claim(ctx context.Context, process, lane string, limit int, lowest int64) ([]Claim, error) {
	return s.claim(ctx, claimOfLane, process, lane, limit, lowest)
}

// ClaimTasks takes those of the tasks for process whose turn it is. It does not look at any others: a key that thousands
// of tasks wait for costs no more than one for which nothing waits.
func (s *Store) ClaimTasks(ctx context.Context, process string, ids ...int64) ([]Claim, error) {
	return s.claim(ctx, claimByID, process, database.Array(ids), len(ids))
}

func (s *Store) claim(ctx context.Context, query, process string, which ...any) ([]Claim, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for {
		var claims []Claim
		err := database.Retry(ctx, func(ctx context.Context) (err error) {
			claims, err = s.claimOnce(ctx, query, process, which)
			return err
		})
		if !database.Violates(err, onePerKey) {
			// RETURNING promises no order.
			slices.SortFunc(claims, func(a, b Claim) int { return cmp.Compare(a.ID, b.ID) })
			return claims, err
		}
		// Another process was faster with a task of the same key; that one is not the head any more.
	}
}

func (s *Store) claimOnce(ctx context.Context, query, process string, which []any) ([]Claim, error) {
	rows, err := s.prepared.QueryContext(ctx, query, append([]any{process}, which...)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var claims []Claim
	for rows.Next() {
		c := Claim{Process: process, Since: time.Now()}
		var info string
		if err := rows.Scan(&c.ID, &c.Type, &info, &c.Number, &c.Attempts, &c.Takeovers, &c.Age, &c.TraceParent); err != nil {
			return nil, err
		}
		c.Info, c.Fault = s.keyring.Decrypt(info)
		claims = append(claims, c)
	}
	return claims, rows.Err()
}

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

const returnAllExcept = `
UPDATE console_tasks AS c SET task_status = 'pending', task_detailed_status = 'returned to the queue', claimed_by = '', run_at = ` + atOnce + `
WHERE c.claimed_by = $1 AND c.task_status = 'processing'
  AND NOT EXISTS (SELECT 1 FROM unnest($2::BIGINT[], $3::BIGINT[]) AS h(id, number) WHERE h.id = c.id AND h.number = c.claim_number)`

// ReturnAll gives back every task that process holds, except the given claims. Nothing is accepted or claimed meanwhile, so that it must
// not wait for connections that other work holds.
func (s *Store) ReturnAllExcept(ctx context.Context, process string, except []ClaimKey) (int64, error) {
	ids, numbers := claimArrays(except)
	return s.execBy(ctx, s.prepared, returnAllExcept, process, ids, numbers)
}

const returnClaims = `
UPDATE console_tasks AS c SET task_status = 'pending', task_detailed_status = 'returned to the queue', claimed_by = '', run_at = ` + atOnce + `
FROM unnest($1::BIGINT[], $2::BIGINT[], $3::TEXT[]) AS r(id, number, process)
WHERE c.id = r.id AND c.claimed_by = r.process AND c.claim_number = r.number`

// Return gives claims back that nobody has begun.
func (s *Store) Return(ctx context.Context, claims []Claim) (int64, error) {
	held, processes := make([]ClaimKey, len(claims)), make([]string, len(claims))
	for i, c := range claims {
		held[i], processes[i] = c.Key(), c.Process
	}
	ids, numbers := claimArrays(held)
	return s.exec(ctx, returnClaims, ids, numbers, database.Array(processes))
}

// arrays returns the ids and the numbers of claims as arguments of a statement.
func claimArrays(claims []ClaimKey) (ids, numbers any) {
	i, n := make([]int64, len(claims)), make([]int64, len(claims))
	for at, c := range claims {
		i[at], n[at] = c.ID, c.Number
	}
	return database.Array(i), database.Array(n)
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

const completeDiscarded = `
UPDATE console_tasks SET task_status = 'finished', task_detailed_status = 'finished after an earlier failure'
WHERE id = $1 AND task_status = 'error'`

// Heal makes a task that ended as an error a finished one.
func (s *Store) CompleteDiscarded(ctx context.Context, id int64) error {
	_, err := s.exec(ctx, completeDiscarded, id)
	return err
}

const newestPending = `
SELECT task_info FROM console_tasks
WHERE ordering_key = $1 AND task_status = 'pending' AND task_type = $2 AND id > $3 ORDER BY id DESC LIMIT 1`

// NewestPending returns the payload of the newest pending task of a key and type that is newer than after, or nil.
func (s *Store) NewestPending(ctx context.Context, orderingKey, jobType string, after int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var info string
	err := s.db.QueryRowContext(ctx, newestPending, orderingKey, jobType, after).Scan(&info)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.keyring.Decrypt(info)
}
