package store

import (
	"context"
	"database/sql"
	"slices"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
)

// Ending is the last state of a task.
type Completion struct {
	Claim  Claim
	Status Status
	// Detail says in words for users what is the matter; LastError is "" for a success.
	Detail, LastError string
	// Attempts is what the execution adds to the count, and Note what it adds to the errors kept for operators.
	Attempts     int
	AttemptError string
}

// printable returns the ending with texts that every database takes.
func (e Completion) printable() Completion {
	e.Detail, e.LastError, e.AttemptError = logging.Printable(e.Detail), logging.Printable(e.LastError), logging.Printable(e.AttemptError)
	return e
}

// unstorable is the text of a result that the database refuses.
const unstorableText = "what it says cannot be stored, see the log"

// Bare returns the ending with a text that can be written whatever was wrong with its own.
func (e Completion) WithoutText() Completion {
	e.Detail, e.AttemptError = unstorableText, ""
	if e.LastError != "" {
		e.LastError = unstorableText
	}
	return e
}

// Success is how a task ends whose job succeeded.
func Success(c Claim) Completion {
	return Completion{Claim: c, Status: Finished, Detail: "finished", Attempts: 1}
}

// Part is endings that one statement writes.
type CompletionBatch struct {
	Completions []Completion
	// Process and Number are the claim that all of them share, if they are successes; else Process is "".
	Process string
	Number  int64
}

// Parts splits endings: most are successes of first claims, which have a cheaper statement.
func SplitCompletions(endings []Completion) []CompletionBatch {
	var parts []CompletionBatch
	for _, e := range endings {
		part := CompletionBatch{Process: e.Claim.Process, Number: e.Claim.Number}
		if e.Status != Finished || e.Attempts != 1 || e.AttemptError != "" {
			part = CompletionBatch{}
		}
		i := slices.IndexFunc(parts, func(p CompletionBatch) bool { return p.Process == part.Process && p.Number == part.Number })
		if i < 0 {
			i, parts = len(parts), append(parts, part)
		}
		parts[i].Completions = append(parts[i].Completions, e)
	}
	return parts
}

const (
	returningNext = `
RETURNING c.id, c.claim_number, c.lane, (SELECT CASE WHEN e.lane = c.lane THEN e.id ELSE 0 END FROM console_tasks e
        WHERE e.ordering_key = c.ordering_key AND e.task_status = 'pending' ORDER BY e.id LIMIT 1)`

	finishTasks = `
UPDATE console_tasks AS c
SET task_status = 'finished', task_detailed_status = 'finished', last_error = '', attempts = c.attempts + 1, claimed_by = '',
    finished_at = LOCALTIMESTAMP
WHERE c.id = ANY ($1::BIGINT[]) AND c.claimed_by = $2 AND c.claim_number = $3` + returningNext

	completeTasks = `
UPDATE console_tasks AS c
SET task_status = r.status, task_detailed_status = r.detail, last_error = r.error, attempts = c.attempts + r.attempts,
    attempt_errors = c.attempt_errors || r.note, claimed_by = '', finished_at = LOCALTIMESTAMP
FROM unnest($1::BIGINT[], $2::TEXT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::BIGINT[], $8::TEXT[])
    AS r(id, process, number, status, detail, error, attempts, note)
WHERE c.id = r.id AND c.claimed_by = r.process AND c.claim_number = r.number` + returningNext
)

// End writes the last states of tasks in one statement. It returns the claims whose results were written, the others
// were taken over by another claimer; and by lane the ids of the tasks whose turn it is now, as the heads of keys that have
// become free. A head that is of another lane than the task before it shows as 0.
func (s *Store) Complete(ctx context.Context, part CompletionBatch) (written map[ClaimKey]bool, heads map[string][]int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	query, args := part.statement()
	err = database.Retry(ctx, func(ctx context.Context) error {
		written, heads = map[ClaimKey]bool{}, map[string][]int64{}
		rows, err := s.prepared.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var held ClaimKey
			var lane string
			var head sql.NullInt64
			if err := rows.Scan(&held.ID, &held.Number, &lane, &head); err != nil {
				return err
			}
			written[held] = true
			if head.Valid {
				heads[lane] = append(heads[lane], head.Int64)
			}
		}
		return rows.Err()
	})
	return written, heads, err
}

func (p CompletionBatch) statement() (query string, args []any) {
	n := len(p.Completions)
	ids, numbers, attempts := make([]int64, n), make([]int64, n), make([]int64, n)
	processes, states, details, faults, notes := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, e := range p.Completions {
		e = e.printable()
		ids[i], processes[i], numbers[i], states[i] = e.Claim.ID, e.Claim.Process, e.Claim.Number, string(e.Status)
		details[i], faults[i], attempts[i], notes[i] = e.Detail, e.LastError, int64(e.Attempts), e.AttemptError
	}
	if p.Process != "" {
		return finishTasks, []any{database.Array(ids), p.Process, p.Number}
	}
	return completeTasks, []any{
		database.Array(ids), database.Array(processes), database.Array(numbers), database.Array(states),
		database.Array(details), database.Array(faults), database.Array(attempts), database.Array(notes),
	}
}
