package rows

import (
	"context"
	"errors"
	"fmt"

	"app238.com/inner/ent"
	"app238.com/inner/ent/worker"
	"app238.com/inner/ent/workerdeployversion"
)

// Begin marks a version and its worker as loading, and ends older versions of the worker that are still loading: they
// will not be waited for any more.
func (r *Rows) Begin(ctx context.Context, w *ent.Worker, v *ent.WorkerDeployVersion) error {
	return r.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		// The worker first, as everywhere, so that two transactions cannot wait for each other.
		if err := tx.Worker.Update().Where(worker.ID(w.ID)).SetStatus(Loading).Exec(ctx); err != nil {
			return err
		}
		if err := supersede(ctx, tx, w.ID, v.ID); err != nil {
			return err
		}
		return tx.WorkerDeployVersion.Update().Where(workerdeployversion.ID(v.ID)).SetStatus(Loading).SetMsg("").Exec(ctx)
	})
}

func supersede(ctx context.Context, tx *ent.Tx, workerID, versionID int) error {
	return tx.WorkerDeployVersion.Update().
		Where(workerdeployversion.WorkerID(workerID), workerdeployversion.IDLTE(int(lastNotNewer(int64(versionID)))),
			workerdeployversion.IDNEQ(versionID), workerdeployversion.Status(Loading)).
		SetStatus(Error).SetMsg(SupersededText(int64(versionID))).Exec(ctx)
}

// SupersededText says in words that a newer version came.
func SupersededText(newer int64) string { return fmt.Sprintf("superseded by version %d", newer) }

// Deleted records that a worker is not in the cluster any more, where its row still exists.
func (r *Rows) Deleted(ctx context.Context, workerID, userUID string) error {
	return r.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		w, err := findWorker(ctx, tx.Worker, workerID, userUID)
		if errors.Is(err, ErrNoWorker) {
			return nil
		}
		if err != nil {
			return err
		}
		err = tx.WorkerDeployVersion.Update().
			Where(workerdeployversion.WorkerID(w.ID), workerdeployversion.Status(Loading)).
			SetStatus(Error).SetMsg("the worker was deleted").Exec(ctx)
		if err != nil {
			return err
		}
		return tx.Worker.Update().Where(worker.ID(w.ID)).SetStatus(Unloaded).ClearActiveVersionID().Exec(ctx)
	})
}
