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
		Where(workerdeployversion.WorkerID(workerID), workerdeployversion.IDLT(versionID), workerdeployversion.Status(Loading)).
		SetStatus(Error).SetMsg(SupersededText(int64(versionID))).Exec(ctx)
}

// SupersededText says in words that a newer version came.
func SupersededText(newer int64) string { return fmt.Sprintf("superseded by version %d", newer) }

// NewVersion inserts a version of a worker that is about to be deployed, marks the worker as loading and lets also write
// its own rows in the same transaction. It returns ErrNoWorker where the worker is not this user's.
func (r *Rows) NewVersion(ctx context.Context, workerID, userUID, image string, port int,
	also func(ctx context.Context, tx *ent.Tx, version int) error,
) (version int, err error) {
	err = r.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		w, err := findWorker(ctx, tx.Worker, workerID, userUID)
		if err != nil {
			return err
		}
		v, err := tx.WorkerDeployVersion.Create().
			SetWorkerID(w.ID).SetImage(image).SetPort(port).SetStatus(Loading).SetMsg("").Save(ctx)
		if err != nil {
			return err
		}
		version = v.ID
		if err := tx.Worker.Update().Where(worker.ID(w.ID)).SetStatus(Loading).Exec(ctx); err != nil {
			return err
		}
		return also(ctx, tx, v.ID)
	})
	return version, err
}

// Succeeded records that every pod of a version serves. Rows that are gone are not an error: nobody wishes to know.
func (r *Rows) Succeeded(ctx context.Context, workerID, userUID string, version int) error {
	return r.onVersion(ctx, workerID, userUID, version, func(ctx context.Context, tx *ent.Tx, w *ent.Worker, v *ent.WorkerDeployVersion) error {
		if err := tx.WorkerDeployVersion.Update().Where(workerdeployversion.ID(v.ID)).SetStatus(Success).SetMsg("").Exec(ctx); err != nil {
			return err
		}
		return tx.Worker.Update().Where(worker.ID(w.ID)).SetStatus(Active).SetActiveVersionID(v.ID).Exec(ctx)
	})
}

// Failed records why a version does not run. The worker is in error unless an earlier version of it serves on.
func (r *Rows) Failed(ctx context.Context, workerID, userUID string, version int, reason string) error {
	return r.onVersion(ctx, workerID, userUID, version, func(ctx context.Context, tx *ent.Tx, w *ent.Worker, v *ent.WorkerDeployVersion) error {
		return fail(ctx, tx, w, v, reason)
	})
}

// Abandoned records that Inner gave up on a version before it had an outcome. A version that has one keeps it.
func (r *Rows) Abandoned(ctx context.Context, workerID, userUID string, version int, reason string) error {
	return r.onVersion(ctx, workerID, userUID, version, func(ctx context.Context, tx *ent.Tx, w *ent.Worker, v *ent.WorkerDeployVersion) error {
		if v.Status != Loading {
			return nil
		}
		return fail(ctx, tx, w, v, reason)
	})
}

func fail(ctx context.Context, tx *ent.Tx, w *ent.Worker, v *ent.WorkerDeployVersion, reason string) error {
	if err := tx.WorkerDeployVersion.Update().Where(workerdeployversion.ID(v.ID)).SetStatus(Error).SetMsg(reason).Exec(ctx); err != nil {
		return err
	}
	status := Error
	if w.ActiveVersionID != nil {
		status = Active
	}
	return tx.Worker.Update().Where(worker.ID(w.ID)).SetStatus(status).Exec(ctx)
}

// onVersion runs work on a worker and its version in one transaction, or does nothing when they are gone.
func (r *Rows) onVersion(ctx context.Context, workerID, userUID string, version int,
	work func(context.Context, *ent.Tx, *ent.Worker, *ent.WorkerDeployVersion) error,
) error {
	return r.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		// The row lock makes two outcomes of one worker follow each other.
		w, err := tx.Worker.Query().Where(worker.Wid(workerID), worker.UserUID(userUID)).ForUpdate().Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		v, err := tx.WorkerDeployVersion.Query().
			Where(workerdeployversion.ID(version), workerdeployversion.WorkerID(w.ID)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return work(ctx, tx, w, v)
	})
}

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
