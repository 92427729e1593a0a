package store

import (
	"context"

	"app238.com/inner/ent"
	"app238.com/inner/ent/workerdeployversion"
)

// Changing marks a worker whose pods are about to see a changed environment.
func (r *Store) Changing(ctx context.Context, workerID, userUID string) error {
	return r.onWorker(ctx, workerID, userUID, func(ctx context.Context, tx *ent.Tx, w *ent.Worker) error {
		return setWorker(ctx, tx, w, Loading)
	})
}

// ChangeFailed records that a change of the environment was not applied, unless its outcome is recorded already. Pods serve on as
// they are; the change's task has the reason.
func (r *Store) ChangeFailed(ctx context.Context, workerID, userUID string) error {
	return r.onWorker(ctx, workerID, userUID, func(ctx context.Context, tx *ent.Tx, w *ent.Worker) error {
		if w.Status != Loading {
			return nil
		}
		return setWorker(ctx, tx, w, Error)
	})
}

// NotDeployed records that a change of the environment waits for the first deploy: the worker is unloaded, or in error where
// a deploy has failed before it came to a WorkerApp.
func (r *Store) NotDeployed(ctx context.Context, workerID, userUID string) error {
	return r.onWorker(ctx, workerID, userUID, func(ctx context.Context, tx *ent.Tx, w *ent.Worker) error {
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
