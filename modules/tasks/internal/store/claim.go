package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/tasks/job"
)

// Claim is a task that a process has claimed in order to run it.
type Claim struct {
	ID   int64
	Type string
	Info []byte
	// Prepared is set if this process accepted the task; otherwise its payload has to be decoded.
	Prepared *job.Prepared
	// InfoErr is the error of decrypting Info, or nil.
	InfoErr error
	// Process and Number fence the writes of the claimer.
	Process string
	Number  int64
	// Attempts is the number of earlier attempts, and Takeovers the number of processes that ended while running the
	// task.
	Attempts, Takeovers int
	// Age is the time from acceptance to this claim, in seconds of the database's clock.
	Age float64
	// TraceParent is the trace of the request that the task came with; "" if it is not traced.
	TraceParent string
	// Since is the time of the claim by this process's clock.
	Since time.Time
}

// ClaimKey identifies a claim of a process: each claim of a task has another number.
type ClaimKey struct{ ID, Number int64 }

// Key returns the key of the claim.
func (c Claim) Key() ClaimKey { return ClaimKey{ID: c.ID, Number: c.Number} }

// dueNow is the run_at of a task without delay: it is due whatever a clock says.
const dueNow = `TIMESTAMP '1970-01-01 00:00:00'`

// A task is next in its ordering key if no task of the key is processing and no earlier one is pending. If two
// processes claim two tasks of one key at the same moment, the unique index refuses one of them.
//
// The subquery is materialized: otherwise it may run more than once and exceed its LIMIT. The conditions are written so
// that PostgreSQL expects most tasks to pass (IS NOT NULL): then it scans the index in order and stops at the limit,
// instead of reading the whole backlog for every claim. Of the earlier tasks the nearest is looked up first: the index
// still has entries of the key's ended tasks in front.
const (
	claimBegin = `
WITH next_tasks AS MATERIALIZED (
    SELECT t.id FROM console_tasks t
    WHERE t.run_at <= LOCALTIMESTAMP
      AND (SELECT CASE WHEN count(*) = 0 THEN 1 END FROM (SELECT 1 FROM console_tasks e
           WHERE e.ordering_key = t.ordering_key AND e.task_status = 'pending' AND e.id < t.id ORDER BY e.id DESC LIMIT 1) AS
               earlier) IS NOT NULL
      AND (SELECT CASE WHEN count(*) = 0 THEN 1 END FROM (SELECT 1 FROM console_tasks e
           WHERE e.ordering_key = t.ordering_key AND e.task_status = 'processing' LIMIT 1) AS running) IS NOT NULL
      AND `
	claimEnd = `
    FOR UPDATE SKIP LOCKED)
UPDATE console_tasks AS c
SET task_status = 'processing', task_detailed_status = 'claimed', claimed_by = $1, claim_number = c.claim_number + 1,
    woken = false, started_at = LOCALTIMESTAMP
FROM next_tasks WHERE c.id = next_tasks.id AND c.claimed_by = ''
RETURNING c.id, c.task_type, c.task_info, c.claim_number, c.attempts, c.takeovers,
    CAST(EXTRACT(EPOCH FROM LOCALTIMESTAMP - c.created_at) AS FLOAT8), COALESCE(c.trace_parent, '')`

	// notRequeued leaves out tasks that were delayed after a claim: an attempt was made, or their processes ended again and again.
	notRequeued = `CASE WHEN t.claim_number > 0 AND t.run_at > ` + dueNow + ` THEN NULL ELSE 1 END IS NOT NULL`

	// A range instead of an equality, so that only the index on (lane, id) has the order; with an equality the primary
	// key has it too. That index is partial, for lanes with a name, so that nothing else in the statement can use it.
	// The scan starts at an id: CockroachDB keeps deleted index entries for hours and would scan all of them.
	claimOfLane = claimBegin + notRequeued +
		` AND t.task_status = 'pending' AND (t.lane, t.id) >= ($2::TEXT, $4::BIGINT) AND t.lane <= $2::TEXT AND t.lane <> ''
    ORDER BY t.lane, t.id LIMIT $3` + claimEnd
	// The same with the index on (lane, run_at).
	claimRequeued = claimBegin +
		`t.task_status = 'pending' AND t.claim_number > 0 AND t.lane >= $2::TEXT AND t.lane <= $2::TEXT AND t.run_at > ` + dueNow + `
    ORDER BY t.lane, t.run_at LIMIT $3` + claimEnd
	// The status is compared so that only the primary key can serve, and no index on the status.
	pendingByID = `CASE t.task_status WHEN 'pending' THEN 1 END IS NOT NULL AND t.id = ANY ($2::BIGINT[]) LIMIT $3` + claimEnd
	claimByID   = claimBegin + pendingByID
	claimNext   = claimBegin + notRequeued + ` AND ` + pendingByID
)

// ClaimRequeued claims at most limit tasks of a lane that were delayed after an earlier claim, those first that have been due
// longest: a few that fail again and again do not keep the others from being tried.
func (s *Store) ClaimRequeued(ctx context.Context, process, lane string, limit int) ([]Claim, error) {
	return s.claim(ctx, claimRequeued, process, lane, limit)
}

// Claim claims at most limit of the other tasks of a lane with ids from lowest on, oldest first.
func (s *Store) Claim(ctx context.Context, process, lane string, limit int, lowest int64) ([]Claim, error) {
	return s.claim(ctx, claimOfLane, process, lane, limit, lowest)
}

// ClaimTasks claims those of the tasks whose turn it is.
func (s *Store) ClaimTasks(ctx context.Context, process string, ids ...int64) ([]Claim, error) {
	return s.claim(ctx, claimByID, process, database.Array(ids), len(ids))
}

// ClaimNext is ClaimTasks without those that ClaimRequeued claims. It reads no other tasks: a key with thousands of waiting tasks
// costs no more than any other.
func (s *Store) ClaimNext(ctx context.Context, process string, ids ...int64) ([]Claim, error) {
	return s.claim(ctx, claimNext, process, database.Array(ids), len(ids))
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
		// Another process claimed a task of the same key first: retry without it.
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
		c.Info, c.InfoErr = s.keyring.Decrypt(info)
		claims = append(claims, c)
	}
	return claims, rows.Err()
}
