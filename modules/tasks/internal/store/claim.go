package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"app238.com/inner/app/database"
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
