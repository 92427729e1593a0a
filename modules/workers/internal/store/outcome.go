package store

import (
	"context"
	"strings"

	"app238.com/inner/ent"
	"app238.com/inner/ent/worker"
	"app238.com/inner/ent/workerdeployversion"
)

// The functions of this file record outcomes. With keepStatus a later task about the same worker is unfinished: it will
// write workers.status, so only the columns of the version are written.

// redeployed begins the msg of a version that is deployed again after it had served, until it serves once more: its status
// does not show any more that it had.
const redeployed = "deployed again after it had served"

// versionTx is a transaction that has locked a worker and read one of its versions.
type versionTx struct {
	*ent.Tx
	worker  *ent.Worker
	version *ent.WorkerDeployVersion
}

// Served reports whether a version has ever been a success.
func Served(v *ent.WorkerDeployVersion) bool {
	return v.Status == Success || strings.HasPrefix(v.Msg, redeployed)
}

// Reason returns why a version has failed.
func Reason(v *ent.WorkerDeployVersion) string {
	return strings.TrimPrefix(strings.TrimPrefix(v.Msg, redeployed), ": ")
}

// RecordSuccess records that every pod of a version serves. Deleted rows are not an error.
func (s *Store) RecordSuccess(ctx context.Context, workerID, userUID string, version int, keepStatus bool) error {
	return s.updateRollout(ctx, workerID, userUID, version, func(ctx context.Context, tx versionTx) error {
		if err := setVersion(ctx, tx.Tx, tx.version, Success, ""); err != nil {
			return err
		}
		update := tx.Worker.Update().Where(worker.ID(tx.worker.ID))
		rollback := Served(tx.version) && tx.version.Status != Success
		if tx.worker.ActiveVersionID == nil || rollback || Newer(int64(tx.version.ID), int64(*tx.worker.ActiveVersionID), true) {
			update.SetActiveVersionID(tx.version.ID)
		}
		if !keepStatus {
			update.SetStatus(Active)
		}
		return update.Exec(ctx)
	})
}

// RecordFailure records why a version does not run. It reports whether the worker is to be rolled back to an earlier version
// that served: then the worker stays active.
//
// A version that has succeeded fails again when the new pods of a change of the environment do not start. Its row is kept,
// since the old pods still serve, and the worker is in error; the reason is in the task of the change.
func (s *Store) RecordFailure(
	ctx context.Context, workerID, userUID string, version int, reason string, keepStatus bool,
) (rollback bool, err error) {
	err = s.updateRollout(ctx, workerID, userUID, version, func(ctx context.Context, tx versionTx) error {
		rollback = tx.worker.ActiveVersionID != nil && *tx.worker.ActiveVersionID != tx.version.ID
		switch {
		case tx.version.Status != Success:
			status := Error
			if rollback {
				status = Active
			}
			return setStatuses(ctx, tx, Error, status, reason, keepStatus)
		case tx.worker.Status == Loading && !keepStatus:
			return setWorker(ctx, tx.Tx, tx.worker, Error)
		}
		return nil // the version was restored, and its old pods still serve
	})
	return rollback, err
}

// RecordLaterFailure records why a version fails after it had succeeded. It keeps the status success; its worker is active
// when some pod serves, else in error.
func (s *Store) RecordLaterFailure(
	ctx context.Context, workerID, userUID string, version int, reason string, serving, keepStatus bool,
) error {
	return s.updateRollout(ctx, workerID, userUID, version, func(ctx context.Context, tx versionTx) error {
		status := Error
		if serving {
			status = Active
		}
		return setStatuses(ctx, tx, Success, status, reason, keepStatus)
	})
}

// RecordDiscarded records that the deploy of a version was discarded before its rollout began to count. The active version
// serves on; when that is this version, it gets no message. A version that has an outcome keeps it.
func (s *Store) RecordDiscarded(
	ctx context.Context, workerID, userUID string, version int, reason string, keepStatus bool,
) error {
	return s.updateVersion(ctx, workerID, userUID, version, func(ctx context.Context, tx versionTx) error {
		switch {
		case tx.version.Status != Loading:
			return nil
		case tx.worker.ActiveVersionID == nil:
			return setStatuses(ctx, tx, Error, Error, reason, keepStatus)
		case *tx.worker.ActiveVersionID == tx.version.ID:
			return setStatuses(ctx, tx, Success, Active, "", keepStatus)
		}
		return setStatuses(ctx, tx, Error, Active, reason, keepStatus)
	})
}

// setStatuses writes the statuses of the version and, unless keepStatus, of the worker.
func setStatuses(ctx context.Context, tx versionTx, version, status, reason string, keepStatus bool) error {
	if err := setVersion(ctx, tx.Tx, tx.version, version, reason); err != nil || keepStatus {
		return err
	}
	return setWorker(ctx, tx.Tx, tx.worker, status)
}

func setWorker(ctx context.Context, tx *ent.Tx, w *ent.Worker, status string) error {
	return tx.Worker.Update().Where(worker.ID(w.ID)).SetStatus(status).Exec(ctx)
}

func setVersion(ctx context.Context, tx *ent.Tx, v *ent.WorkerDeployVersion, status, msg string) error {
	if Served(v) && status != Success {
		msg = strings.TrimSuffix(redeployed+": "+msg, ": ")
	}
	return tx.WorkerDeployVersion.Update().Where(workerdeployversion.ID(v.ID)).SetStatus(status).SetMsg(msg).Exec(ctx)
}

// updateRollout is updateVersion, except that it does nothing when the worker was deleted: outcomes may arrive late.
func (s *Store) updateRollout(ctx context.Context, workerID, userUID string, version int,
	work func(context.Context, versionTx) error,
) error {
	return s.updateVersion(ctx, workerID, userUID, version, func(ctx context.Context, tx versionTx) error {
		if tx.worker.Status == Unloaded {
			return nil
		}
		return work(ctx, tx)
	})
}

// updateVersion runs work on a worker and its version in one transaction, or does nothing when one of them was deleted.
func (s *Store) updateVersion(ctx context.Context, workerID, userUID string, version int,
	work func(context.Context, versionTx) error,
) error {
	return s.updateWorker(ctx, workerID, userUID, func(ctx context.Context, tx *ent.Tx, w *ent.Worker) error {
		v, err := tx.WorkerDeployVersion.Query().
			Where(workerdeployversion.ID(version), workerdeployversion.WorkerID(w.ID)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return work(ctx, versionTx{Tx: tx, worker: w, version: v})
	})
}

// updateWorker runs work on a worker in one transaction, or does nothing when the worker was deleted. The row lock
// serializes the updates of one worker.
func (s *Store) updateWorker(
	ctx context.Context, workerID, userUID string, work func(context.Context, *ent.Tx, *ent.Worker) error,
) error {
	return s.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		w, err := tx.Worker.Query().Where(worker.Wid(workerID), worker.UserUID(userUID)).ForUpdate().Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return work(ctx, tx, w)
	})
}
