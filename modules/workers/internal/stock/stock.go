// Package stock is the workers' inventory for the audit: what there is of workers in the cluster, what their rows wish, and
// which job mends the one or the other.
package stock

import (
	"context"

	"app238.com/inner/ent"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/cluster"
	"app238.com/inner/modules/workers/internal/jobs"
	"app238.com/inner/modules/workers/internal/origin"
	"app238.com/inner/modules/workers/internal/rows"
)

// Stock implements inventory.Loader.
type Stock struct {
	lister  *cluster.Lister
	origins *origin.Origins
	queue   job.Queue
	rows    *rows.Rows
}

// New returns the workers' inventory.
func New(l *cluster.Lister, o *origin.Origins, q job.Queue, r *rows.Rows) []inventory.Inventory {
	return []inventory.Inventory{&Stock{lister: l, origins: o, queue: q, rows: r}}
}

// Kind implements inventory.Inventory.
func (s *Stock) Kind() string { return "worker" }

// World implements inventory.Inventory.
func (s *Stock) World(ctx context.Context, page func([]inventory.Object) error) error {
	return s.lister.Parts(ctx, func(parts []cluster.Part) error {
		if err := s.markForeign(ctx, parts); err != nil {
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

// markForeign has WorkerApps count as what they are that were written for a version or a task that the database does not have,
// as after a restore: to their rows the WorkerApp is missing.
func (s *Stock) markForeign(ctx context.Context, parts []cluster.Part) error {
	var ids []int
	for _, p := range parts {
		if p.Kind == cluster.WorkerAppPart && p.Origin.Version != 0 {
			ids = append(ids, int(p.Origin.Version))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	survey, err := s.origins.Survey(ctx)
	if err != nil {
		return err
	}
	versions, err := s.rows.Versions(ctx, ids)
	if err != nil {
		return err
	}
	for i, p := range parts {
		of := versions[p.Origin.Version]
		if p.Origin.Version != 0 && (of.WorkerID != p.WorkerID || of.UserID != p.OwnerID || survey.Foreign(p.Origin)) {
			parts[i].Kind = cluster.ForeignPart
		}
	}
	return nil
}

// Rows implements inventory.Inventory. A worker that has run needs its WorkerApp; the controller makes the rest of it.
func (s *Stock) Rows(ctx context.Context, after int64, limit int) ([]inventory.Wish, error) {
	found, err := s.rows.Wishes(ctx, int(after), limit)
	return wishes(found), err
}

// Loading implements inventory.Loader.
func (s *Stock) Loading(ctx context.Context, after int64, limit int) ([]inventory.Wish, error) {
	found, err := s.rows.Loading(ctx, int(after), limit)
	return wishes(found), err
}

func wishes(found []rows.Wish) []inventory.Wish {
	wishes := make([]inventory.Wish, len(found))
	for i, w := range found {
		wishes[i] = inventory.Wish{
			Row: int64(w.Row), Name: workerapp.Name(w.WorkerID, w.UserID), Owner: w.UserID, ID: w.WorkerID,
			Key: jobs.OrderingKey(w.WorkerID, w.UserID), Loading: w.Loading, Since: w.Since.UTC(),
		}
		if w.Deployed {
			wishes[i].Needs = []string{cluster.WorkerAppPart}
		}
	}
	return wishes
}

// Repair implements inventory.Inventory. A version that is loading is deployed: its row is the wish, and the task is what was
// lost. A worker that is loading without one waits for a change of its environment. A lost WorkerApp, or one of another database, is restored.
func (s *Stock) Repair(ctx context.Context, wish inventory.Wish, fault inventory.Fault) error {
	ref := jobs.Ref{WorkerID: wish.ID, UserUID: wish.Owner}
	err := s.rows.Mend(ctx, wish.ID, wish.Owner, func(ctx context.Context, tx *ent.Tx, lack rows.Lack) (err error) {
		switch {
		case fault.Stuck && lack.Version != 0:
			_, err = s.queue.Enqueue(ctx, tx, jobs.DeployType, jobs.Deploy{Ref: ref, VersionID: int64(lack.Version)})
		case fault.Stuck && lack.Loading:
			_, err = s.queue.Enqueue(ctx, tx, jobs.SyncEnvType, jobs.Sync{Ref: ref, Data: map[string]*string{}})
		case len(fault.Missing) > 0 && lack.Deployed:
			_, err = s.queue.Enqueue(ctx, tx, jobs.RestoreType, jobs.Restore{Ref: ref})
		}
		return err
	})
	if err == nil {
		s.queue.Nudge()
	}
	return err
}

// Delete implements inventory.Inventory.
func (s *Stock) Delete(ctx context.Context, object inventory.Object) error {
	ref := jobs.Ref{WorkerID: object.ID, UserUID: object.Owner}
	gone, err := s.rows.IfGone(ctx, object.ID, object.Owner, func(ctx context.Context, tx *ent.Tx) error {
		_, err := s.queue.Enqueue(ctx, tx, jobs.DeleteType, jobs.Delete{Ref: ref})
		return err
	})
	switch {
	case err != nil:
		return err
	case !gone:
		return inventory.ErrWished
	}
	s.queue.Nudge()
	return nil
}
