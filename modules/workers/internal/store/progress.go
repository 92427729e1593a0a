package store

import (
	"context"
	"errors"
	"fmt"

	"app238.com/inner/ent"
	"app238.com/inner/ent/predicate"
	"app238.com/inner/ent/worker"
	"app238.com/inner/ent/workerdeployversion"
)

// MarkLoading marks a version and its worker as loading, and ends the older versions that are still loading and the version
// that is being rolled out.
func (s *Store) MarkLoading(ctx context.Context, w *ent.Worker, v *ent.WorkerDeployVersion, current int) error {
	return s.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		// The worker is locked first, as everywhere, so that two transactions cannot deadlock.
		if err := setWorker(ctx, tx, w, Loading); err != nil {
			return err
		}
		older := workerdeployversion.IDLTE(int(lastNotNewer(int64(v.ID))))
		err := endLoading(ctx, tx, w, SupersededText(int64(v.ID)),
			workerdeployversion.IDNEQ(v.ID), workerdeployversion.Or(older, workerdeployversion.ID(current)))
		if err != nil {
			return err
		}
		return setVersion(ctx, tx, v, Loading, "")
	})
}

// endLoading ends the loading versions of a worker that match filter.
func endLoading(ctx context.Context, tx *ent.Tx, w *ent.Worker, reason string, filter ...predicate.WorkerDeployVersion) error {
	loading, err := tx.WorkerDeployVersion.Query().
		Where(workerdeployversion.WorkerID(w.ID), workerdeployversion.Status(Loading)).Where(filter...).All(ctx)
	if err != nil {
		return err
	}
	for _, v := range loading {
		if err := setVersion(ctx, tx, v, Error, reason); err != nil {
			return err
		}
	}
	return nil
}

// SupersededText returns the message of a version that a newer one supersedes.
func SupersededText(newer int64) string { return fmt.Sprintf("superseded by version %d", newer) }

// MarkDeleted records that a worker is deleted from the cluster, if its row still exists.
func (s *Store) MarkDeleted(ctx context.Context, workerID, userUID string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		w, err := findWorker(ctx, tx.Worker, workerID, userUID)
		if errors.Is(err, ErrNoWorker) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := endLoading(ctx, tx, w, "the worker was deleted"); err != nil {
			return err
		}
		return tx.Worker.Update().Where(worker.ID(w.ID)).SetStatus(Unloaded).ClearActiveVersionID().Exec(ctx)
	})
}

// MarkChanging marks a worker whose environment is about to change.
func (s *Store) MarkChanging(ctx context.Context, workerID, userUID string) error {
	return s.updateWorker(ctx, workerID, userUID, func(ctx context.Context, tx *ent.Tx, w *ent.Worker) error {
		return setWorker(ctx, tx, w, Loading)
	})
}

// MarkChangeFailed records that a change of the environment was not applied, unless its outcome is recorded already. The
// pods keep the previous environment; the task has the reason.
func (s *Store) MarkChangeFailed(ctx context.Context, workerID, userUID string) error {
	return s.updateWorker(ctx, workerID, userUID, func(ctx context.Context, tx *ent.Tx, w *ent.Worker) error {
		if w.Status != Loading {
			return nil
		}
		return setWorker(ctx, tx, w, Error)
	})
}

// MarkNotDeployed records that a change of the environment waits for the first deploy: the worker is unloaded, or in error
// when a deploy failed before it wrote a WorkerApp.
func (s *Store) MarkNotDeployed(ctx context.Context, workerID, userUID string) error {
	return s.updateWorker(ctx, workerID, userUID, func(ctx context.Context, tx *ent.Tx, w *ent.Worker) error {
		tried, err := tx.WorkerDeployVersion.Query().
			Where(workerdeployversion.WorkerID(w.ID), workerdeployversion.Status(Error)).Exist(ctx)
		if err != nil {
			return err
		}
		status := Unloaded
		if tried {
			status = Error
		}
		return setWorker(ctx, tx, w, status)
	})
}
