package store

import (
	"context"
	"database/sql"
	"slices"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
)

// Completion is the result of an execution, as it is written to the task.
type Completion struct {
	Claim  Claim
	Status Status
	// Detail is a text for users; LastError is "" after a success.
	Detail, LastError string
	// Attempts is added to the task's count, and AttemptError to its stored errors.
	Attempts     int
	AttemptError string
}

// printable returns the completion with texts that every database accepts.
func (e Completion) printable() Completion {
	e.Detail, e.LastError = logging.Printable(e.Detail), logging.Printable(e.LastError)
	e.AttemptError = logging.Printable(e.AttemptError)
	return e
}

// unstorableText replaces a text that the database refuses.
const unstorableText = "the text cannot be stored, see the log"

// WithoutText returns the completion with texts that every database accepts, whatever was wrong with its own.
func (e Completion) WithoutText() Completion {
	e.Detail, e.AttemptError = unstorableText, ""
	if e.LastError != "" {
		e.LastError = unstorableText
	}
	return e
}

// Success returns the completion of a job that succeeded.
func Success(c Claim) Completion {
	return Completion{Claim: c, Status: Finished, Detail: "finished", Attempts: 1}
}

// CompletionBatch is the completions of one statement.
type CompletionBatch struct {
	Completions []Completion
	// Process and Number are the claim that all share if they are successes; otherwise Process is "".
	Process string
	Number  int64
}

// SplitCompletions splits completions into batches: most are successes of first claims, which have a cheaper statement.
func SplitCompletions(completions []Completion) []CompletionBatch {
	var batches []CompletionBatch
	for _, e := range completions {
		batch := CompletionBatch{Process: e.Claim.Process, Number: e.Claim.Number}
		if e.Status != Finished || e.Attempts != 1 || e.AttemptError != "" {
			batch = CompletionBatch{}
		}
		i := slices.IndexFunc(batches, func(b CompletionBatch) bool { return b.Process == batch.Process && b.Number == batch.Number })
		if i < 0 {
			i, batches = len(batches), append(batches, batch)
		}
		batches[i].Completions = append(batches[i].Completions, e)
	}
	return batches
}

const (
	// The next task of a key is nearly always a later one. It is looked up first: in front of it are the entries of the key's
	// ended tasks.
	returningNext = `
RETURNING c.id, c.claim_number, c.lane, COALESCE(
    (SELECT CASE WHEN e.lane = c.lane THEN e.id ELSE 0 END FROM console_tasks e
     WHERE e.ordering_key = c.ordering_key AND e.task_status = 'pending' AND e.id > c.id ORDER BY e.id LIMIT 1),
    (SELECT CASE WHEN e.lane = c.lane THEN e.id ELSE 0 END FROM console_tasks e
     WHERE e.ordering_key = c.ordering_key AND e.task_status = 'pending' ORDER BY e.id LIMIT 1))`

	finishTasks = `
UPDATE console_tasks AS c
SET task_status = 'finished', task_detailed_status = 'finished', last_error = '', attempts = c.attempts + 1, claimed_by = '',
    finished_at = LOCALTIMESTAMP
WHERE c.id = ANY ($1::BIGINT[]) AND c.claimed_by = $2 AND c.claim_number = $3` + returningNext

	// completeTasks makes a failed task that was resumed while it ran pending: the reason of its failure may be over.
	completeTasks = `
UPDATE console_tasks AS c
SET task_status = CASE WHEN c.woken AND r.status = 'error' THEN 'pending' ELSE r.status END,
    run_at = CASE WHEN c.woken AND r.status = 'error' THEN ` + dueNow + ` ELSE c.run_at END,
    finished_at = CASE WHEN c.woken AND r.status = 'error' THEN NULL ELSE LOCALTIMESTAMP END,
    task_detailed_status = r.detail, last_error = r.error, attempts = c.attempts + r.attempts,
    attempt_errors = c.attempt_errors || r.note, claimed_by = ''
FROM unnest($1::BIGINT[], $2::TEXT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::BIGINT[], $8::TEXT[])
    AS r(id, process, number, status, detail, error, attempts, note)
WHERE c.id = r.id AND c.claimed_by = r.process AND c.claim_number = r.number` + returningNext
)

// Complete writes the final states of tasks in one statement. It returns the claims that were written; the others were
// lost to another claimer. It also returns, by lane, the ids of the tasks that are now next in their keys, with 0 for
// one in another lane than the task before it.
func (s *Store) Complete(ctx context.Context, batch CompletionBatch) (
	written map[ClaimKey]bool, next map[string][]int64, err error,
) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	query, args := batch.statement()
	err = database.Retry(ctx, func(ctx context.Context) error {
		written, next = map[ClaimKey]bool{}, map[string][]int64{}
		rows, err := s.prepared.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var key ClaimKey
			var lane string
			var nextID sql.NullInt64
			if err := rows.Scan(&key.ID, &key.Number, &lane, &nextID); err != nil {
				return err
			}
			written[key] = true
			if nextID.Valid {
				next[lane] = append(next[lane], nextID.Int64)
			}
		}
		return rows.Err()
	})
	return written, next, err
}

func (b CompletionBatch) statement() (query string, args []any) {
	n := len(b.Completions)
	ids, numbers, attempts := make([]int64, n), make([]int64, n), make([]int64, n)
	processes, states, details := make([]string, n), make([]string, n), make([]string, n)
	lastErrors, attemptErrors := make([]string, n), make([]string, n)
	for i, e := range b.Completions {
		e = e.printable()
		ids[i], processes[i], numbers[i], states[i] = e.Claim.ID, e.Claim.Process, e.Claim.Number, string(e.Status)
		details[i], lastErrors[i], attempts[i], attemptErrors[i] = e.Detail, e.LastError, int64(e.Attempts), e.AttemptError
	}
	if b.Process != "" {
		return finishTasks, []any{database.Array(ids), b.Process, b.Number}
	}
	return completeTasks, []any{
		database.Array(ids), database.Array(processes), database.Array(numbers), database.Array(states),
		database.Array(details), database.Array(lastErrors), database.Array(attempts), database.Array(attemptErrors),
	}
}
