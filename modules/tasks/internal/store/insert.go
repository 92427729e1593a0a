package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/tasks/job"
)

// NewTask is a task to be written.
type NewTask struct {
	Type, Lane, OrderingKey string
	Info                    []byte
	// Erased is what becomes of Info once its secrets were used; nil where it has none.
	Erased []byte
	// Prepared is what the payload was checked as.
	Prepared *job.Prepared
	// IdempotencyKey is "" for none.
	IdempotencyKey string
	// TraceParent names the trace of the request; "" where it is not traced.
	TraceParent string
}

// key returns the ordering key; one of its own for a task that names none.
func (t NewTask) key() string {
	if t.OrderingKey != "" {
		return t.OrderingKey
	}
	return "task/" + rand.Text()
}

// ErrKeyReused says that an idempotency key was used before, for a different request.
var ErrKeyReused = errors.New("idempotency key was used for a different request")

// Inserted is what became of a NewTask.
type Inserted struct {
	// ID is the task's; where the idempotency key was used before, the first task's.
	ID int64
	// Claimed tells that the row was inserted as a claim of the inserting process, Found that it was there before.
	Claimed, Found bool
	// Fault is ErrKeyReused or nil.
	Fault error
}

// A task may be inserted claimed when no other of its key is pending or being processed. The unique index refuses the
// whole statement where another process has just claimed one. The subqueries are scalar so that they are looked up by
// index for each row, whatever the statistics say, and materialized so that each is looked up once.
const (
	insertWith = `
WITH n AS MATERIALIZED (
    SELECT t.task_type, t.task_info, t.lane, t.ordering_key, t.idempotency_key, t.ordinal,`
	insertClaim = `
        t.wanted
        AND (SELECT e.id FROM console_tasks e WHERE e.ordering_key = t.ordering_key AND e.task_status = 'pending' LIMIT 1) IS NULL
        AND (SELECT e.id FROM console_tasks e WHERE e.ordering_key = t.ordering_key AND e.task_status = 'processing' LIMIT 1) IS NULL
        AS claim
    FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::BOOLEAN[]`
	insertNames = `)
        WITH ORDINALITY AS t(task_type, task_info, lane, ordering_key, idempotency_key, wanted`
	insertInto = `, ordinal)
)
INSERT INTO console_tasks (task_type, task_info, lane, ordering_key, idempotency_key, accept_ordinal,
    task_status, task_detailed_status, claimed_by, claim_number, started_at, run_at`
	insertValues = `)
SELECT n.task_type, n.task_info, n.lane, n.ordering_key, NULLIF(n.idempotency_key, ''), n.ordinal,
    CASE WHEN n.claim THEN 'processing' ELSE 'pending' END, CASE WHEN n.claim THEN 'claimed' ELSE 'accepted' END,
    CASE WHEN n.claim THEN $1 ELSE '' END, CASE WHEN n.claim THEN 1 ELSE 0 END, CASE WHEN n.claim THEN LOCALTIMESTAMP END, ` + atOnce
	insertOrder = `
FROM n ORDER BY n.ordinal`
	insertRows      = insertWith + insertClaim + insertNames + insertInto + insertValues + insertOrder
	insertReturning = `
RETURNING id, accept_ordinal, task_status`

	insertTasks = insertRows + insertReturning
	// What may conflict costs PostgreSQL a further record of its log for every row, so only tasks with a key come here.
	insertKeyed = insertRows + `
ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING` + insertReturning
	// Tasks whose requests are traced; the others do not pay for it.
	insertTraced = insertWith + ` t.trace_parent,` + insertClaim + `, $8::TEXT[]` + insertNames + `, trace_parent` + insertInto +
		`, trace_parent` + insertValues + `, NULLIF(n.trace_parent, '')` + insertOrder + `
ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING` + insertReturning
)

// onePerKey is the unique index that lets one task of a key be processed at a time.
const onePerKey = "console_tasks_one_per_key"

const findByIdempotencyKey = `SELECT id, task_type, task_info FROM console_tasks WHERE idempotency_key = $1`

// Insert writes tasks in one statement, in their order. Those for which wanted is true become claims of process where
// nothing else of their key is pending or processing; wanted may be nil.
func (s *Store) Insert(ctx context.Context, process string, tasks []NewTask, wanted []bool) ([]Inserted, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var inserted []Inserted
	for {
		err := database.Retry(ctx, func(ctx context.Context) (err error) {
			inserted, err = s.InsertIn(ctx, s.steady, process, tasks, wanted)
			return err
		})
		if !database.Violates(err, onePerKey) {
			return inserted, err
		}
		wanted = nil // another process has just claimed a task of the same key
	}
}

// InsertIn writes tasks in tx; see Insert. A unique violation is the caller's to handle.
func (s *Store) InsertIn(ctx context.Context, tx job.Tx, process string, tasks []NewTask, wanted []bool) ([]Inserted, error) {
	inserted, err := s.insert(ctx, tx, process, tasks, wanted)
	if err != nil {
		return nil, err
	}
	for i, t := range tasks {
		if inserted[i].ID != 0 {
			continue
		}
		first, err := s.findFirst(ctx, tx, t)
		if err != nil {
			return nil, err
		}
		inserted[i] = first
	}
	return inserted, nil
}

func (s *Store) insert(ctx context.Context, tx job.Tx, process string, tasks []NewTask, wanted []bool) ([]Inserted, error) {
	n := len(tasks)
	if wanted == nil {
		wanted = make([]bool, n)
	}
	types, infos, lanes, keys, idempotency := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, t := range tasks {
		types[i], infos[i], lanes[i], keys[i], idempotency[i] = t.Type, string(t.Info), t.Lane, t.key(), t.IdempotencyKey
		if t.Erased != nil {
			infos[i] = s.box.Seal(t.Info)
		}
	}
	query := insertTasks
	if slices.ContainsFunc(tasks, func(t NewTask) bool { return t.IdempotencyKey != "" }) {
		query = insertKeyed
	}
	args := []any{
		process, database.Array(types), database.Array(infos), database.Array(lanes), database.Array(keys), database.Array(idempotency),
		database.Array(wanted),
	}
	if slices.ContainsFunc(tasks, func(t NewTask) bool { return t.TraceParent != "" }) {
		traces := make([]string, n)
		for i, t := range tasks {
			traces[i] = t.TraceParent
		}
		query, args = insertTraced, append(args, database.Array(traces))
	}
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	inserted := make([]Inserted, n)
	for rows.Next() {
		var id int64
		var ordinal int
		var status Status
		if err := rows.Scan(&id, &ordinal, &status); err != nil {
			return nil, err
		}
		if ordinal < 1 || ordinal > n {
			return nil, fmt.Errorf("ordinal %d of %d", ordinal, n)
		}
		inserted[ordinal-1] = Inserted{ID: id, Claimed: status == Processing}
	}
	return inserted, rows.Err()
}

// findFirst returns the task that was accepted first with this one's idempotency key.
func (s *Store) findFirst(ctx context.Context, tx job.Tx, t NewTask) (Inserted, error) {
	rows, err := tx.QueryContext(ctx, findByIdempotencyKey, t.IdempotencyKey)
	if err != nil {
		return Inserted{}, err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return Inserted{}, errors.Join(rows.Err(), sql.ErrNoRows)
	}
	first := Inserted{Found: true}
	var kind, info string
	if err := rows.Scan(&first.ID, &kind, &info); err != nil {
		return first, err
	}
	opened, err := s.box.Open(info)
	if err != nil {
		return first, fmt.Errorf("task %d: %w", first.ID, err)
	}
	// The values of secrets that were erased meanwhile cannot be compared any more.
	erased := t.Erased != nil && bytes.Equal(opened, t.Erased)
	if kind != t.Type || (!bytes.Equal(opened, t.Info) && !erased) {
		return Inserted{Found: true, Fault: ErrKeyReused}, rows.Err()
	}
	return first, rows.Err()
}
