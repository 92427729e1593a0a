// Package admin is what the command line calls: it shows and changes tasks, and runs single ones.
package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

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
	f, err := a.withTimes(ctx, f)
	if err != nil {
		return job.Page{}, err
	}
	// The first page begins with the running tasks, whose ids may be low. Later ones, by id, may repeat them.
	ordered := f.Before == 0 && (f.Status == "" || f.Status == string(store.Processing))
	var running []job.Summary
	if ordered {
		of := f
		of.Status, of.Limit = job.Running, f.Limit+1
		if running, err = a.store.List(ctx, of, false); err != nil {
			return job.Page{}, err
		}
	}
	cut := len(running) > f.Limit
	running = running[:min(f.Limit, len(running))]
	limit := f.Limit - len(running)
	f.Limit = limit + 1 // one more, to know whether there is another page
	tasks, err := a.store.List(ctx, f, ordered)
	if err != nil {
		return job.Page{}, err
	}
	page := job.Page{Tasks: tasks[:min(limit, len(tasks))]}
	switch {
	case limit == 0 && (cut || len(tasks) > 0):
		page.Next = math.MaxInt64
	case len(tasks) > limit:
		page.Next = tasks[limit-1].ID
	}
	slices.SortStableFunc(page.Tasks, func(x, y job.Summary) int { return cmp.Compare(rank(x), rank(y)) })
	page.Tasks = append(running, page.Tasks...)
	return page, nil
}

// withTimes returns the filter with times for ages: this process's clock may differ from the database's.
func (a *Admin) withTimes(ctx context.Context, f job.Filter) (job.Filter, error) {
	if f.Since.Age == 0 && f.Until.Age == 0 {
		return f, nil
	}
	now, err := a.store.Now(ctx)
	f.Since, f.Until = job.Moment{At: f.Since.In(now)}, job.Moment{At: f.Until.In(now)}
	return f, err
}

// rank orders the tasks of a page.
func rank(t job.Summary) int {
	return slices.Index([]string{job.Running, job.Claimed, t.State()}, t.State())
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
	processes, err := a.processes(ctx)
	return job.Stats{Counts: counts, Lanes: backlogs, Processes: processes}, err
}

func (a *Admin) processes(ctx context.Context) ([]job.Load, error) {
	replicas, err := a.store.Replicas(ctx)
	loads := make([]job.Load, len(replicas))
	for i, r := range replicas {
		loads[i] = job.Load{
			Process: r.ID, Host: r.Host, Claimed: r.Claimed, Running: r.Running, HeartbeatAge: r.HeartbeatAge,
			Waiting: r.Load.Waiting, OldestWaiting: r.Load.Oldest, Overrun: r.Load.Overrun,
		}
	}
	return loads, err
}

// Activity implements job.Admin.
func (a *Admin) Activity(ctx context.Context, after int64) (now job.Activity, err error) {
	if after == 0 {
		after = math.MaxInt64 // counting all tasks would read them all
	}
	if now.Newest, now.Accepted, err = a.store.CountAfter(ctx, after); err != nil {
		return now, err
	}
	counts, err := a.store.CountByStatus(ctx)
	if err != nil {
		return now, err
	}
	now.Pending, now.Processing, now.Waiting = counts[store.Pending], counts[store.Processing], counts[store.Waiting]
	if now.Lanes, err = a.store.Backlogs(ctx); err != nil {
		return now, err
	}
	if now.Processes, err = a.processes(ctx); err != nil {
		return now, err
	}
	now.Running, err = a.store.List(ctx, job.Filter{Status: job.Running, Limit: job.MaxRunning}, false)
	return now, err
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
