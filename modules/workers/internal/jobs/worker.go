// Package jobs holds the jobs of workers, one file per job type.
package jobs

import (
	"context"
	"slices"

	"go.uber.org/fx"

	"app238.com/inner/app/config"
	"app238.com/inner/ent"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/cluster"
	"app238.com/inner/modules/workers/internal/desired"
	"app238.com/inner/modules/workers/internal/origin"
	"app238.com/inner/modules/workers/internal/store"
)

// Params are the dependencies of the jobs.
type Params struct {
	fx.In

	Config  *config.Config
	Store   *store.Store
	Apps    *cluster.WorkerApps
	Origins *origin.Origins
	Remover *cluster.Remover
	Secrets *cluster.Secrets
	Queue   job.Queue
}

// StatusWriters returns the job types whose tasks write workers.status when they end.
func StatusWriters() []string { return []string{DeployType, SyncEnvType, SyncSecretType} }

// hasUnfinished reports whether a task of one of these types about the worker, accepted after the task with the id after, is
// unfinished.
func (p Params) hasUnfinished(ctx context.Context, r Ref, after int64, types ...string) (bool, error) {
	unfinished, err := p.Queue.ActiveTypes(ctx, r.OrderingKey(), after)
	if err != nil {
		return false, databaseError("reading unfinished tasks", err)
	}
	return slices.ContainsFunc(unfinished, func(t string) bool { return slices.Contains(types, t) }), nil
}

// findApp returns the state of a worker's WorkerApp, or nil when there is none. A task that the database does not have
// counts as none: nothing that it wrote is newer or recorded.
func (p Params) findApp(ctx context.Context, r Ref) (*cluster.State, error) {
	app, err := p.Apps.Find(ctx, r.WorkerID, r.UserUID)
	if err != nil {
		return nil, clusterError("reading the WorkerApp", err)
	}
	if app == nil || app.Deleting {
		return app, nil
	}
	relation, err := p.Origins.Compare(ctx, r.OrderingKey(), app.Origin)
	if err != nil {
		return nil, databaseError("comparing the WorkerApp with the rows", err)
	}
	if relation != origin.Known {
		app.Task, app.Recorded = 0, false
	}
	if app.OtherDatabase = relation == origin.OtherDatabase; app.OtherDatabase {
		app.Version = 0 // the number names another version, or none
	}
	return app, nil
}

// desiredVersion returns the version that a WorkerApp is to have when no new one is requested: its present one, unless that
// failed and another is active; nil when none ever ran.
func (p Params) desiredVersion(ctx context.Context, w *ent.Worker, app *cluster.State) (*ent.WorkerDeployVersion, error) {
	var ids []int
	if app != nil {
		ids = append(ids, int(app.Version))
	}
	if w.ActiveVersionID != nil {
		ids = append(ids, *w.ActiveVersionID)
	}
	var last *ent.WorkerDeployVersion
	for _, id := range ids {
		v, err := p.Store.Version(ctx, w, id)
		switch {
		case isNotFound(err):
			continue
		case err != nil:
			return nil, databaseError("reading the version", err)
		case v.Status != store.Error:
			return v, nil
		}
		last = v
	}
	return last, nil
}

// checkedSpec returns the spec of a version, or a terminal error when it exceeds the operator's limits.
func (p Params) checkedSpec(w *ent.Worker, v *ent.WorkerDeployVersion) (workerapp.Spec, error) {
	spec := desired.Spec(w, v)
	if err := spec.CheckLimits(p.Config.Controller.Limits); err != nil {
		return spec, job.NewTerminal("%s", err.Error())
	}
	return spec, nil
}

// applyVersion applies the WorkerApp for a version, on behalf of a task.
func (p Params) applyVersion(ctx context.Context, task job.Task, w *ent.Worker, v *ent.WorkerDeployVersion) error {
	spec, err := p.checkedSpec(w, v)
	if err != nil {
		return err
	}
	return p.applySpec(ctx, task, w, v, spec)
}

func (p Params) applySpec(
	ctx context.Context, task job.Task, w *ent.Worker, v *ent.WorkerDeployVersion, spec workerapp.Spec,
) error {
	at, err := p.Origins.ForTask(ctx, OrderingKey(w.Wid, w.UserUID), int64(v.ID), task.ID)
	if err != nil {
		return databaseError("reading the task", err)
	}
	if err := p.Apps.Apply(ctx, spec, at); err != nil {
		return clusterError("writing the WorkerApp", err)
	}
	return nil
}

// findWorker returns the row of a worker, or a terminal error when the ids do not belong together.
func (p Params) findWorker(ctx context.Context, r Ref) (*ent.Worker, error) {
	w, err := p.Store.Worker(ctx, r.WorkerID, r.UserUID)
	switch {
	case err == nil:
		return w, nil
	case isNotFound(err):
		return nil, job.NewTerminal("%s", err.Error())
	}
	return nil, databaseError("reading the worker", err)
}
