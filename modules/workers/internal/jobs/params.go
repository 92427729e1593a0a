// Package jobs holds the jobs of workers, one file a job type.
package jobs

import (
	"context"
	"fmt"
	"slices"

	"go.uber.org/fx"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/identifier"
	"app238.com/inner/app/kube"
	"app238.com/inner/ent"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/cluster"
	"app238.com/inner/modules/workers/internal/desired"
	"app238.com/inner/modules/workers/internal/origin"
	"app238.com/inner/modules/workers/internal/store"
)

// Params are what the jobs of workers work with.
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

// Settling returns the job types whose tasks write workers.status when they end.
func Settling() []string { return []string{DeployType, SyncEnvType, SyncSecretType} }

// Ref names a worker in a payload.
type Ref struct {
	WorkerID string `json:"worker_id"`
	UserUID  string `json:"user_uid"`
}

// Validate checks both ids.
func (r Ref) Validate() error {
	if err := identifier.Check("worker_id", r.WorkerID); err != nil {
		return err
	}
	return identifier.Check("user_uid", r.UserUID)
}

// OrderingKey is the worker.
func (r Ref) OrderingKey() string { return OrderingKey(r.WorkerID, r.UserUID) }

// OrderingKey names a worker in the order of tasks.
func OrderingKey(workerID, userUID string) string {
	return fmt.Sprintf("worker/%s/%s", userUID, workerID)
}

// databaseError says what an error of the database means for a task.
func databaseError(what string, err error) error {
	if database.IsUnavailable(err) {
		return job.NewUnavailable("database", err)
	}
	return job.NewRetry(what+" failed", err)
}

// clusterError says what an error of the cluster means for a task.
func clusterError(what string, err error) error {
	switch {
	case kube.WebhookAway(err): // perhaps for good
		return job.NewRetry(what+" failed: a webhook of the cluster does not answer", err)
	case kube.Unavailable(err):
		return job.NewUnavailable("cluster", err)
	case kube.Refused(err):
		e := job.NewTerminal("%s failed: the cluster refused the worker's settings: %s", what, kube.Faults(err))
		e.Cause = err
		return e
	}
	return job.NewRetry(what+" failed", err)
}

// underWay tells whether a task of one of these types about the worker, accepted after the one with id after, has not ended.
func (p Params) underWay(ctx context.Context, r Ref, after int64, types ...string) (bool, error) {
	unfinished, err := p.Queue.ActiveTypes(ctx, r.OrderingKey(), after)
	if err != nil {
		return false, databaseError("looking for other tasks", err)
	}
	return slices.ContainsFunc(unfinished, func(t string) bool { return slices.Contains(types, t) }), nil
}

// app returns the state of a worker's WorkerApp, or nil where there is none. A task that the database does not have counts as
// none: nothing is newer, and nothing has ended, for what it wrote.
func (p Params) app(ctx context.Context, r Ref) (*cluster.State, error) {
	app, err := p.Apps.Find(ctx, r.WorkerID, r.UserUID)
	if err != nil {
		return nil, clusterError("reading the WorkerApp", err)
	}
	if app == nil || app.Deleting {
		return app, nil
	}
	standing, err := p.Origins.Judge(ctx, r.OrderingKey(), app.Origin)
	if err != nil {
		return nil, databaseError("comparing the WorkerApp with the rows", err)
	}
	if standing != origin.Known {
		app.Task, app.Ended = 0, false
	}
	if app.Foreign = standing == origin.Foreign; app.Foreign {
		app.Version = 0 // that number is another version's, if any's
	}
	return app, nil
}

// wished returns the version that a WorkerApp shall be at when no new one is asked for: the one that it is at, unless that
// failed and another serves; nil where none ever ran.
func (p Params) wished(ctx context.Context, w *ent.Worker, app *cluster.State) (*ent.WorkerDeployVersion, error) {
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
		case isNoRow(err):
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

// spec returns what a version asks for, unless that is more than the operator lets a worker have.
func (p Params) spec(w *ent.Worker, v *ent.WorkerDeployVersion) (workerapp.Spec, error) {
	spec := desired.Spec(w, v)
	if err := spec.CheckLimits(p.Config.Controller.Limits); err != nil {
		return spec, job.NewTerminal("%s", err.Error())
	}
	return spec, nil
}

// apply writes the WorkerApp for a version, on behalf of a task.
func (p Params) apply(ctx context.Context, task job.Task, w *ent.Worker, v *ent.WorkerDeployVersion) error {
	spec, err := p.spec(w, v)
	if err != nil {
		return err
	}
	return p.write(ctx, task, w, v, spec)
}

func (p Params) write(ctx context.Context, task job.Task, w *ent.Worker, v *ent.WorkerDeployVersion, spec workerapp.Spec) error {
	at, err := p.Origins.Of(ctx, OrderingKey(w.Wid, w.UserUID), int64(v.ID), task.ID)
	if err != nil {
		return databaseError("reading the task", err)
	}
	if err := p.Apps.Apply(ctx, spec, at); err != nil {
		return clusterError("writing the WorkerApp", err)
	}
	return nil
}

// rolloutFailed ends a task whose rollout failed. The container's own last words may be among the reason.
func rolloutFailed(reason string) error {
	failed := job.NewTerminal("the rollout failed: %s", reason)
	failed.Quoted = true
	return failed
}

// worker returns the row of a worker, or a permanent error when the ids do not belong together.
func (p Params) worker(ctx context.Context, r Ref) (*ent.Worker, error) {
	w, err := p.Store.Worker(ctx, r.WorkerID, r.UserUID)
	switch {
	case err == nil:
		return w, nil
	case isNoRow(err):
		return nil, job.NewTerminal("%s", err.Error())
	}
	return nil, databaseError("reading the worker", err)
}
