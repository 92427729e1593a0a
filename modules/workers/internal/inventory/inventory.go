// Package inventory is the workers' inventory for the audit: it lists actual and desired workers, and queues the jobs that
// repair or delete them.
package inventory

import (
	"context"

	"app238.com/inner/ent"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/cluster"
	"app238.com/inner/modules/workers/internal/jobs"
	"app238.com/inner/modules/workers/internal/origin"
	"app238.com/inner/modules/workers/internal/store"
)

// Inventory implements inventory.Loader.
type Inventory struct {
	lister  *cluster.Lister
	origins *origin.Origins
	queue   job.Queue
	store   *store.Store
}

// New returns the workers' inventory.
func New(l *cluster.Lister, o *origin.Origins, q job.Queue, r *store.Store) []inventory.Inventory {
	return []inventory.Inventory{&Inventory{lister: l, origins: o, queue: q, store: r}}
}

// Kind implements inventory.Inventory.
func (s *Inventory) Kind() string { return "worker" }

// ListActual implements inventory.Inventory.
func (s *Inventory) ListActual(ctx context.Context, page func([]inventory.Object) error) error {
	return s.lister.List(ctx, func(parts []cluster.Part) error {
		if err := s.markOtherDatabase(ctx, parts); err != nil {
			return err
		}
		objects := make([]inventory.Object, len(parts))
		for i, p := range parts {
			objects[i] = inventory.Object{
				Name: p.Name, Owner: p.OwnerID, ID: p.WorkerID, Key: jobs.OrderingKey(p.WorkerID, p.OwnerID), Parts: []string{p.Kind},
			}
		}
		return page(objects)
	})
}

// markOtherDatabase changes the kind of the WorkerApps that were written for a version or a task that the database does not
// have, as after a restore: their rows then lack a WorkerApp.
func (s *Inventory) markOtherDatabase(ctx context.Context, parts []cluster.Part) error {
	var ids []int
	for _, p := range parts {
		if p.Kind == cluster.WorkerAppPart && p.Origin.Version != 0 {
			ids = append(ids, int(p.Origin.Version))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	snapshot, err := s.origins.Snapshot(ctx)
	if err != nil {
		return err
	}
	versions, err := s.store.WorkersOfVersions(ctx, ids)
	if err != nil {
		return err
	}
	for i, p := range parts {
		of := versions[p.Origin.Version]
		if p.Origin.Version != 0 && (of.WorkerID != p.WorkerID || of.UserID != p.OwnerID || snapshot.IsOtherDatabase(p.Origin)) {
			parts[i].Kind = cluster.OtherDatabasePart
		}
	}
	return nil
}

// ListDesired implements inventory.Inventory. A worker with an active version needs a WorkerApp; the controller makes its
// other objects.
func (s *Inventory) ListDesired(ctx context.Context, after int64, limit int) ([]inventory.Desired, error) {
	found, err := s.store.ListDesired(ctx, int(after), limit)
	return desired(found), err
}

// Loading implements inventory.Loader.
func (s *Inventory) Loading(ctx context.Context, after int64, limit int) ([]inventory.Desired, error) {
	found, err := s.store.ListLoading(ctx, int(after), limit)
	return desired(found), err
}

func desired(found []store.Desired) []inventory.Desired {
	desired := make([]inventory.Desired, len(found))
	for i, w := range found {
		desired[i] = inventory.Desired{
			Row: int64(w.Row), Name: workerapp.Name(w.WorkerID, w.UserID), Owner: w.UserID, ID: w.WorkerID,
			Key: jobs.OrderingKey(w.WorkerID, w.UserID), Loading: w.Loading, Since: w.Since.UTC(),
		}
		if w.Deployed {
			desired[i].Needs = []string{cluster.WorkerAppPart}
		}
	}
	return desired
}

// Repair implements inventory.Inventory. A loading version is deployed: its row is the desired state and only its task was
// lost. A worker that is loading without a loading version gets a sync of its environment. A missing WorkerApp, or one of
// another database, is restored.
func (s *Inventory) Repair(ctx context.Context, desired inventory.Desired, failure inventory.Drift) error {
	ref := jobs.Ref{WorkerID: desired.ID, UserUID: desired.Owner}
	err := s.store.Repair(ctx, desired.ID, desired.Owner, func(ctx context.Context, tx *ent.Tx, missing store.Missing) (err error) {
		switch {
		case failure.Stuck && missing.Version != 0:
			_, err = s.queue.Enqueue(ctx, tx, jobs.DeployType, jobs.Deploy{Ref: ref, VersionID: int64(missing.Version)})
		case failure.Stuck && missing.Loading:
			_, err = s.queue.Enqueue(ctx, tx, jobs.SyncEnvType, jobs.Sync{Ref: ref, Data: map[string]*string{}})
		case len(failure.Missing) > 0 && missing.Deployed:
			_, err = s.queue.Enqueue(ctx, tx, jobs.RestoreType, jobs.Restore{Ref: ref})
		}
		return err
	})
	if err == nil {
		s.queue.Notify()
	}
	return err
}

// Delete implements inventory.Inventory.
func (s *Inventory) Delete(ctx context.Context, object inventory.Object) error {
	ref := jobs.Ref{WorkerID: object.ID, UserUID: object.Owner}
	deleted, err := s.store.IfDeleted(ctx, object.ID, object.Owner, func(ctx context.Context, tx *ent.Tx) error {
		_, err := s.queue.Enqueue(ctx, tx, jobs.DeleteType, jobs.Delete{Ref: ref, Orphan: true})
		return err
	})
	switch {
	case err != nil:
		return err
	case !deleted:
		return inventory.ErrReferenced
	}
	s.queue.Notify()
	return nil
}
