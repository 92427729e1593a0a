package store

import (
	"context"

	"app238.com/inner/ent"
	"app238.com/inner/ent/worker"
	"app238.com/inner/ent/workerdeployversion"
)

// NewVersion is a version of a worker that is to be deployed.
type NewVersion struct {
	WorkerID, UserUID, Image string
	Port                     int
	// Earlier returns the version that an earlier, equal request made, 0 where there was none. It is asked while the worker
	// is locked, so that of two such requests the second finds what the first has committed.
	FindExisting func(ctx context.Context, tx *ent.Tx) (version int, err error)
	// Also writes rows of its own in the transaction in which the version is made.
	AfterInsert func(ctx context.Context, tx *ent.Tx, version int) error
}

// AddVersion inserts a version and marks its worker as loading, unless the version is there already. It returns ErrNoWorker
// where the worker is not this user's, and ErrOtherVersion where the earlier request was for something else.
func (s *Store) AddVersion(ctx context.Context, n NewVersion) (version int, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		w, err := tx.Worker.Query().Where(worker.Wid(n.WorkerID), worker.UserUID(n.UserUID)).ForUpdate().Only(ctx)
		if err != nil && !ent.IsNotFound(err) {
			return err
		}
		deleted := err != nil
		// What was promised is answered even when the worker was deleted meanwhile.
		if version, err = n.FindExisting(ctx, tx); err != nil {
			return err
		}
		if version != 0 {
			return n.checkSame(ctx, tx, version)
		}
		if deleted {
			return ErrNoWorker
		}
		v, err := tx.WorkerDeployVersion.Create().
			SetWorkerID(w.ID).SetImage(n.Image).SetPort(n.Port).SetStatus(Loading).SetMsg("").Save(ctx)
		if err != nil {
			return err
		}
		version = v.ID
		if err := tx.Worker.Update().Where(worker.ID(w.ID)).SetStatus(Loading).Exec(ctx); err != nil {
			return err
		}
		return n.AfterInsert(ctx, tx, v.ID)
	})
	return version, err
}

// compare returns ErrOtherVersion where an earlier version is not what is asked for. One that was deleted with its worker
// cannot be compared any more.
func (n NewVersion) checkSame(ctx context.Context, tx *ent.Tx, version int) error {
	v, err := tx.WorkerDeployVersion.Query().Where(workerdeployversion.ID(version)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil
	case err != nil:
		return err
	case v.Image != n.Image || v.Port != n.Port:
		return ErrVersionMismatch
	}
	return nil
}
