package store

import (
	"context"

	"app238.com/inner/ent"
	"app238.com/inner/ent/worker"
	"app238.com/inner/ent/workerdeployversion"
)

// NewVersion is a version of a worker that is to be inserted.
type NewVersion struct {
	WorkerID, UserUID, Image string
	Port                     int
	// FindExisting returns the version that an earlier equal request inserted, 0 when there was none. It is called while the
	// worker is locked, so that the second of two such requests finds what the first has committed.
	FindExisting func(ctx context.Context, tx *ent.Tx) (version int, err error)
	// AfterInsert writes further rows in the transaction that inserts the version.
	AfterInsert func(ctx context.Context, tx *ent.Tx, version int) error
}

// AddVersion inserts a version and marks its worker as loading, unless the version exists. It returns ErrNoWorker when the
// worker is not this user's, and ErrVersionMismatch when the earlier request was for another image or port.
func (s *Store) AddVersion(ctx context.Context, n NewVersion) (version int, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		w, err := tx.Worker.Query().Where(worker.Wid(n.WorkerID), worker.UserUID(n.UserUID)).ForUpdate().Only(ctx)
		if err != nil && !ent.IsNotFound(err) {
			return err
		}
		deleted := err != nil
		// An earlier request is answered even when its worker was deleted since.
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

// checkSame returns ErrVersionMismatch when an existing version has another image or port. A version that was deleted with
// its worker cannot be compared.
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
