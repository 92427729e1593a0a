package store

import (
	"context"
	"time"

	"entgo.io/ent/dialect/sql"

	"app238.com/inner/app/database"
	"app238.com/inner/ent"
	"app238.com/inner/ent/predicate"
	"app238.com/inner/ent/worker"
	"app238.com/inner/ent/workerdeployversion"
)

// Desired is the row of a worker for the audit.
type Desired struct {
	Row              int
	WorkerID, UserID string
	// Deployed reports whether a version has succeeded, so that a WorkerApp must exist.
	Deployed bool
	// Loading reports whether the worker or one of its versions is loading; Since is the creation time of the youngest of
	// these rows.
	Loading bool
	Since   time.Time
}

// ListDesired returns the workers with ids above after, at most limit, in ascending order.
func (s *Store) ListDesired(ctx context.Context, after, limit int) ([]Desired, error) {
	return s.listDesired(ctx, limit, worker.IDGT(after))
}

// ListLoading is ListDesired for the workers that are loading or have a loading version.
func (s *Store) ListLoading(ctx context.Context, after, limit int) ([]Desired, error) {
	return s.listDesired(ctx, limit, worker.IDGT(after),
		worker.Or(worker.Status(Loading), worker.HasVersionsWith(workerdeployversion.Status(Loading))))
}

func (s *Store) listDesired(ctx context.Context, limit int, filter ...predicate.Worker) ([]Desired, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	workers, err := s.client.Worker.Query().Where(filter...).Order(worker.ByID(sql.OrderAsc())).Limit(limit).All(ctx)
	if err != nil || len(workers) == 0 {
		return nil, err
	}
	desired, ids, place := make([]Desired, len(workers)), make([]int, len(workers)), map[int]int{}
	for i, w := range workers {
		ids[i], place[w.ID] = w.ID, i
		desired[i] = Desired{
			Row: w.ID, WorkerID: w.Wid, UserID: w.UserUID,
			Deployed: w.ActiveVersionID != nil, Loading: w.Status == Loading, Since: w.CreatedAt,
		}
	}
	versions, err := s.versionSummaries(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		desired := &desired[place[v.WorkerID]]
		desired.Loading = desired.Loading || v.Status == Loading
		if v.Latest.After(desired.Since) {
			desired.Since = v.Latest
		}
	}
	return desired, nil
}

// versionSummary is the youngest version of a worker in one status.
type versionSummary struct {
	WorkerID int       `json:"worker_id"`
	Status   string    `json:"status"`
	Latest   time.Time `json:"latest"`
}

func (s *Store) versionSummaries(ctx context.Context, workers []int) (summaries []versionSummary, err error) {
	err = s.client.WorkerDeployVersion.Query().Where(database.AnyOf(workerdeployversion.FieldWorkerID, workers)).
		GroupBy(workerdeployversion.FieldWorkerID, workerdeployversion.FieldStatus).
		Aggregate(ent.As(ent.Max(workerdeployversion.FieldCreatedAt), "latest")).Scan(ctx, &summaries)
	return summaries, err
}

// WorkersOfVersions returns the workers of those of these versions that exist, by version.
func (s *Store) WorkersOfVersions(ctx context.Context, ids []int) (map[int64]Desired, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.client.WorkerDeployVersion.Query().Where(database.AnyOf(workerdeployversion.FieldID, ids)).
		WithWorker().All(ctx)
	if err != nil {
		return nil, err
	}
	workers := make(map[int64]Desired, len(found))
	for _, v := range found {
		if w := v.Edges.Worker; w != nil {
			workers[int64(v.ID)] = Desired{Row: w.ID, WorkerID: w.Wid, UserID: w.UserUID}
		}
	}
	return workers, nil
}

// Missing tells what the rows of a worker lack.
type Missing struct {
	// Version is the newest loading version, 0 when none is loading.
	Version int
	// Loading reports whether the worker is loading, Deployed whether a version of it has succeeded.
	Loading, Deployed bool
}

// Repair calls work with what the rows of a worker lack, in one transaction in which work may queue tasks. It does nothing
// when the worker was deleted.
func (s *Store) Repair(
	ctx context.Context, workerID, userUID string, work func(ctx context.Context, tx *ent.Tx, missing Missing) error,
) error {
	return s.updateWorker(ctx, workerID, userUID, func(ctx context.Context, tx *ent.Tx, w *ent.Worker) error {
		missing := Missing{Loading: w.Status == Loading, Deployed: w.ActiveVersionID != nil}
		v, err := tx.WorkerDeployVersion.Query().
			Where(workerdeployversion.WorkerID(w.ID), workerdeployversion.Status(Loading)).
			Order(workerdeployversion.ByID(sql.OrderDesc())).First(ctx)
		if err != nil && !ent.IsNotFound(err) {
			return err
		}
		if v != nil {
			missing.Version = v.ID
		}
		return work(ctx, tx, missing)
	})
}

// IfDeleted runs work in a transaction in which no such worker exists, and reports whether it did.
func (s *Store) IfDeleted(
	ctx context.Context, workerID, userUID string, work func(ctx context.Context, tx *ent.Tx) error,
) (deleted bool, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		exists, err := tx.Worker.Query().Where(worker.Wid(workerID), worker.UserUID(userUID)).Exist(ctx)
		if deleted = err == nil && !exists; !deleted {
			return err
		}
		return work(ctx, tx)
	})
	return deleted, err
}
