package store

import (
	"context"

	"app238.com/inner/app/database"
)

// stillDue keeps the time at which a task that was claimed became due, unless this was its first claim: whether it was delayed
// decides who claims it. The clock may have been set back since.
const stillDue = `CASE WHEN c.claim_number = 1 THEN ` + dueNow + ` ELSE LEAST(c.run_at, LOCALTIMESTAMP) END`

const returnAllExcept = `
UPDATE console_tasks AS c SET task_status = 'pending', task_detailed_status = 'returned to the queue', claimed_by = '', run_at = ` + stillDue + `
WHERE c.claimed_by = $1 AND c.task_status = 'processing'
  AND NOT EXISTS (SELECT 1 FROM unnest($2::BIGINT[], $3::BIGINT[]) AS h(id, number) WHERE h.id = c.id AND h.number = c.claim_number)`

// ReturnAllExcept returns all tasks of a process to the queue, except the given claims. Nothing is accepted or claimed
// meanwhile, so it must not wait for connections that other work holds.
func (s *Store) ReturnAllExcept(ctx context.Context, process string, except []ClaimKey) (int64, error) {
	ids, numbers := claimArrays(except)
	return s.execOn(ctx, s.prepared, returnAllExcept, process, ids, numbers)
}

const returnClaims = `
UPDATE console_tasks AS c SET task_status = 'pending', task_detailed_status = 'returned to the queue', claimed_by = '', run_at = ` + stillDue + `
FROM unnest($1::BIGINT[], $2::BIGINT[], $3::TEXT[]) AS r(id, number, process)
WHERE c.id = r.id AND c.claimed_by = r.process AND c.claim_number = r.number`

// Return returns claims to the queue that no worker has started.
func (s *Store) Return(ctx context.Context, claims []Claim) (int64, error) {
	keys, processes := make([]ClaimKey, len(claims)), make([]string, len(claims))
	for i, c := range claims {
		keys[i], processes[i] = c.Key(), c.Process
	}
	ids, numbers := claimArrays(keys)
	return s.exec(ctx, returnClaims, ids, numbers, database.Array(processes))
}

// claimArrays returns the ids and the numbers of claims as arguments of a statement.
func claimArrays(claims []ClaimKey) (ids, numbers any) {
	i, n := make([]int64, len(claims)), make([]int64, len(claims))
	for at, c := range claims {
		i[at], n[at] = c.ID, c.Number
	}
	return database.Array(i), database.Array(n)
}
