// Package admin is what the command line calls: it shows and changes tasks, and runs single ones.
package admin

import (
	"context"
	"errors"
	"fmt"

	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// Admin implements job.Admin.
type Admin struct {
	registry *registry.Registry
	store    *store.Store
}

// New returns an Admin.
func New(r *registry.Registry, s *store.Store) *Admin { return &Admin{registry: r, store: s} }

// Types implements job.Admin.
func (a *Admin) Types() []job.Spec {
	specs := []job.Spec{}
	for _, name := range a.registry.Types() {
		if d, ok := a.registry.Find(name); ok {
			specs = append(specs, d.Spec)
		}
	}
	return specs
}

// List implements job.Admin.
func (a *Admin) List(ctx context.Context, f job.Filter) (job.Page, error) {
	if err := f.Validate(); err != nil {
		return job.Page{}, err
	}
	// An unknown type is looked up as it is: tasks of another version may have it.
	if d, ok := a.registry.Find(f.Type); ok {
		f.Type = d.Type
	}
	limit := f.Limit
	f.Limit++ // one more, to know whether there is another page
	tasks, err := a.store.List(ctx, f)
	if err != nil || len(tasks) <= limit {
		return job.Page{Tasks: tasks}, err
	}
	return job.Page{Tasks: tasks[:limit], Next: tasks[limit-1].ID}, nil
}

// Stats implements job.Admin.
func (a *Admin) Stats(ctx context.Context) (job.Stats, error) {
	backlogs, err := a.store.Backlogs(ctx)
	if err != nil {
		return job.Stats{}, err
	}
	counts, err := a.store.Count(ctx)
	if err != nil {
		return job.Stats{}, err
	}
	replicas, err := a.store.Replicas(ctx)
	stats := job.Stats{Counts: counts, Lanes: backlogs, Processes: make([]job.Load, len(replicas))}
	for i, r := range replicas {
		stats.Processes[i] = job.Load{
			Process: r.ID, Host: r.Host, Claimed: r.Claimed,
			Waiting: r.Load.Waiting, OldestWaiting: r.Load.Oldest, Overrun: r.Load.Overrun,
		}
	}
	return stats, err
}

// Show implements job.Admin.
func (a *Admin) Show(ctx context.Context, id int64) (job.Details, error) {
	d, payload, attemptErrors, err := a.store.Details(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return d, job.NewTerminal("task %d: %s", id, noSuchTask)
	}
	if err != nil {
		return d, fmt.Errorf("task %d: %w", id, err)
	}
	d.Errors = parseErrors(attemptErrors)
	d.Info = a.redactedInfo(d.Type, payload)
	return d, nil
}
