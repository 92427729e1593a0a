package rows

import (
	"context"

	"app238.com/inner/ent"
	"app238.com/inner/ent/worker"
	"app238.com/inner/ent/workerdeployversion"
)

// Changing marks a worker whose pods are about to see a changed environment.
func (r *Rows) Changing(ctx context.Context, workerID, userUID string) error {
	return r.onWorker(ctx, workerID, userUID, func(ctx context.Context, tx *ent.Tx, w *ent.Worker) error {
		return tx.Worker.Update().Where(worker.ID(w.ID)).SetStatus(Loading).Exec(ctx)
	})
}

// ChangeFailed records why a change of the environment was not applied, unless its outcome is recorded already. Pods serve on
// as they are; the reason stands at the version that they are of.
func (r *Rows) ChangeFailed(ctx context.Context, workerID, userUID, reason string) error {
	return r.onWorker(ctx, workerID, userUID, func(ctx context.Context, tx *ent.Tx, w *ent.Worker) error {
		if w.Status != Loading {
			return nil
		}
		if w.ActiveVersionID != nil {
			err := tx.WorkerDeployVersion.Update().
				Where(workerdeployversion.ID(*w.ActiveVersionID), workerdeployversion.WorkerID(w.ID)).SetMsg(reason).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return tx.Worker.Update().Where(worker.ID(w.ID)).SetStatus(Error).Exec(ctx)
	})
}

// NotDeployed records that a change of the environment waits for the first deploy: the worker is unloaded, or in error where
// a deploy has failed before it came to a WorkerApp.
func (r *Rows) NotDeployed(ctx context.Context, workerID, userUID string) error {
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
		return tx.Worker.Update().Where(worker.ID(w.ID)).SetStatus(status).Exec(ctx)
	})
}
