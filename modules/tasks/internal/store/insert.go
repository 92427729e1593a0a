package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/tasks/job"
)

// NewTask is a task to insert.
type NewTask struct {
	Type, Lane, OrderingKey string
	Info                    []byte
	// Erased is Info without its secrets; nil if it has none.
	Erased []byte
	// Prepared is the validated payload.
	Prepared *job.Prepared
	// IdempotencyKey is "" for none.
	IdempotencyKey string
	// TraceParent is the trace of the request; "" if it is not traced.
	TraceParent string
}

// key returns the ordering key, or a unique one for a task without.
func (t NewTask) key() string {
	if t.OrderingKey != "" {
		return t.OrderingKey
	}
	return "task/" + rand.Text()
}

// extended reports whether the task needs insertExtended.
func (t NewTask) extended() bool { return t.IdempotencyKey != "" || t.TraceParent != "" }

// Inserted is the result of inserting a NewTask.
type Inserted struct {
	// ID is the task's id; if the idempotency key was used before, the id of the task that has it.
	ID int64
	// Claimed is true if the task was inserted as a claim of the inserting process, Found if it existed before.
	Claimed, Found bool
	// Err is job.ErrKeyReused, or the error of comparing the payload with that of the existing task, or nil.
	Err error
}

// A task may be inserted claimed if no other of its key is pending or processing. The unique index refuses the whole
// statement if another process has just claimed one. The subqueries are scalar so that they use an index for each row,
// whatever the statistics say, and materialized so that each runs once.
const (
	insertWith = `
WITH n AS MATERIALIZED (
    SELECT t.task_type, t.task_info, t.lane, t.ordering_key, t.idempotency_key, t.ordinal,`
	insertClaim = `
        t.wanted
        AND (SELECT e.id FROM console_tasks e WHERE e.ordering_key = t.ordering_key AND e.task_status = 'pending' LIMIT 1) IS NULL
        AND (SELECT e.id FROM console_tasks e WHERE e.ordering_key = t.ordering_key AND e.task_status = 'processing' LIMIT 1) IS
            NULL
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
    CASE WHEN n.claim THEN $1 ELSE '' END, CASE WHEN n.claim THEN 1 ELSE 0 END, CASE WHEN n.claim THEN LOCALTIMESTAMP END, ` + dueNow
	insertOrder = `
FROM n ORDER BY n.ordinal`
	insertReturning = `
RETURNING id, accept_ordinal, task_status`

	insertTasks = insertWith + insertClaim + insertNames + insertInto + insertValues + insertOrder + insertReturning
	// For tasks with an idempotency key or of a traced request. ON CONFLICT costs PostgreSQL an additional WAL record
	// for every row, so other tasks use insertTasks.
	insertExtended = insertWith + ` t.trace_parent, t.info_hash,` + insertClaim + `, $8::TEXT[], $9::TEXT[]` + insertNames +
		`, trace_parent, info_hash` + insertInto + `, trace_parent, info_hash` + insertValues +
		`, NULLIF(n.trace_parent, ''), NULLIF(n.info_hash, '')` + insertOrder + `
ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING` + insertReturning
)

// onePerKey is the unique index that allows one processing task for each key.
const onePerKey = "console_tasks_one_per_key"

// Insert writes tasks in one statement, in their order. Tasks with claim set become claims of process if nothing else
// of their key is pending or processing; claim may be nil.
func (s *Store) Insert(ctx context.Context, process string, tasks []NewTask, claim []bool) ([]Inserted, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var inserted []Inserted
	for {
		err := database.Retry(ctx, func(ctx context.Context) (err error) {
			inserted, err = s.insert(ctx, s.prepared, process, tasks, claim)
			return err
		})
		if err == nil {
			break
		}
		if !database.Violates(err, onePerKey) {
			return nil, err
		}
		claim = nil // another process has just claimed a task of the same key
	}
	// The new tasks are committed, whatever the result of this.
	for i, t := range tasks {
		if inserted[i].ID == 0 {
			inserted[i] = s.existingTask(ctx, t)
		}
	}
	return inserted, nil
}

// existingTask is findExisting outside a transaction. Its error concerns this task alone.
func (s *Store) existingTask(ctx context.Context, t NewTask) (existing Inserted) {
	existing.Err = database.Retry(ctx, func(ctx context.Context) (err error) {
		existing, err = s.findExisting(ctx, s.prepared, t)
		return errors.Join(err, existing.Err)
	})
	existing.Found = true
	return existing
}

// InsertTx writes tasks in a transaction; see Insert. The caller handles unique violations.
func (s *Store) InsertTx(ctx context.Context, tx job.Tx, process string, tasks []NewTask, claim []bool) ([]Inserted, error) {
	inserted, err := s.insert(ctx, tx, process, tasks, claim)
	if err != nil {
		return nil, err
	}
	for i, t := range tasks {
		if inserted[i].ID != 0 {
			continue
		}
		if inserted[i], err = s.findExisting(ctx, tx, t); err != nil {
			return nil, err
		}
	}
	return inserted, nil
}

func (s *Store) insert(ctx context.Context, tx job.Tx, process string, tasks []NewTask, claim []bool) ([]Inserted, error) {
	n := len(tasks)
	if claim == nil {
		claim = make([]bool, n)
	}
	types, infos, lanes := make([]string, n), make([]string, n), make([]string, n)
	keys, idempotency := make([]string, n), make([]string, n)
	for i, t := range tasks {
		types[i], infos[i], lanes[i], keys[i], idempotency[i] = t.Type, string(t.Info), t.Lane, t.key(), t.IdempotencyKey
		if t.Erased != nil {
			infos[i] = s.keyring.Encrypt(t.Info)
		}
	}
	query, args := insertTasks, []any{
		process, database.Array(types), database.Array(infos), database.Array(lanes), database.Array(keys), database.Array(idempotency),
		database.Array(claim),
	}
	if slices.ContainsFunc(tasks, NewTask.extended) {
		traces, hashes := make([]string, n), make([]string, n)
		for i, t := range tasks {
			traces[i] = t.TraceParent
			if t.IdempotencyKey != "" && t.Erased != nil {
				hashes[i] = s.keyring.Hash(t.Info)
			}
		}
		query, args = insertExtended, append(args, database.Array(traces), database.Array(hashes))
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
