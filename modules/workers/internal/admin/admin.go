// Package admin implements what the command line calls to show workers.
package admin

import (
	"context"
	"errors"
	"fmt"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/admin"
	"app238.com/inner/modules/workers/internal/cluster"
	"app238.com/inner/modules/workers/internal/jobs"
	"app238.com/inner/modules/workers/internal/store"
)

// Numbers of rows in Details.
const (
	maxVersions = 5
	maxTasks    = 10
)

// Admin implements admin.Admin.
type Admin struct {
	store  *store.Store
	viewer *cluster.Viewer
	tasks  job.Admin
}

// New returns an Admin.
func New(s *store.Store, v *cluster.Viewer, tasks job.Admin) *Admin {
	return &Admin{store: s, viewer: v, tasks: tasks}
}

// List implements admin.Admin.
func (a *Admin) List(ctx context.Context, f admin.Filter) (admin.Page, error) {
	if err := f.Validate(); err != nil {
		return admin.Page{}, err
	}
	limit := f.Limit
	f.Limit++ // one more shows whether there is a next page
	found, err := a.store.List(ctx, f)
	if err != nil {
		return admin.Page{}, err
	}
	page := admin.Page{Workers: found}
	if len(found) > limit {
		page.Workers, page.Next = found[:limit], found[limit-1].ID
	}
	names := make([]string, len(page.Workers))
	for i, w := range page.Workers {
		names[i] = workerapp.Name(w.WorkerID, w.UserUID)
	}
	ready, err := a.viewer.Ready(ctx, names)
	page.ClusterError = text(err)
	for i, name := range names {
		if n, ok := ready[name]; ok {
			page.Workers[i].Ready = &n
		}
	}
	return page, nil
}

// Show implements admin.Admin.
func (a *Admin) Show(ctx context.Context, workerID string) (admin.Details, error) {
	w, err := a.store.Find(ctx, workerID)
	if errors.Is(err, store.ErrNoWorker) {
		return admin.Details{}, fmt.Errorf("%w: %s", admin.ErrNotFound, workerID)
	}
	if err != nil {
		return admin.Details{}, err
	}
	d := admin.Details{Worker: w}
	if d.Versions, err = a.store.Versions(ctx, w.ID, maxVersions); err != nil {
		return d, err
	}
	page, err := a.tasks.List(ctx, job.Filter{Key: jobs.OrderingKey(w.WorkerID, w.UserUID), Limit: maxTasks, Among: job.RecentTasks})
	d.Tasks, d.TasksError = append([]job.Summary{}, page.Tasks...), text(err)
	d.Cluster, err = a.viewer.View(ctx, w)
	d.ClusterError = text(err)
	if d.Deployment != nil {
		d.Ready = &d.Deployment.Ready
	}
	d.Problems = problems(d)
	return d, nil
}

// Leader implements admin.Admin.
func (a *Admin) Leader(ctx context.Context) (string, error) {
	leader, err := a.viewer.Leader(ctx)
	if err != nil {
		return "", errors.New(text(err))
	}
	return leader, nil
}

// text returns an error for operators, "" for none.
func text(err error) string {
	if err == nil {
		return ""
	}
	return logging.Redact(database.UserMessage(err))
}
