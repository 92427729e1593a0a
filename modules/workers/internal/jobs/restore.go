package jobs

import (
	"context"

	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/desired"
)

// RestoreType is the job type that sets a worker's WorkerApp back to its active version. Inner queues it after a failed
// rollout of a later version, and when a WorkerApp is missing or of another database.
const RestoreType = "worker.restore_worker"

// Restore is the payload.
type Restore struct{ Ref }

type restore struct{ Params }

// NewRestore defines the job.
func NewRestore(p Params) job.Definition {
	return job.Define(job.Spec{Type: RestoreType, Aliases: []string{"RestoreWorkerJob", "RestoreWorker"}}, restore{p})
}

// Execute applies the WorkerApp for the active version, unless its present version is still desired and of this database.
// The controller records the outcome of that rollout; usually the serving pods have this version already, so that nothing
// restarts.
func (r restore) Execute(ctx context.Context, task job.Task, p Restore) error {
	w, err := r.findWorker(ctx, p.Ref)
	if err != nil {
		return err
	}
	app, err := r.findApp(ctx, p.Ref)
	switch {
	case err != nil:
		return err
	case app != nil && app.Deleting:
		return job.NewSnooze(deletionPollInterval, deletionText)
	}
	v, err := r.desiredVersion(ctx, w, app)
	if err != nil || v == nil || (app != nil && app.Version == int64(v.ID) && !app.OtherDatabase) {
		return err
	}
	if app == nil || app.OtherDatabase {
		if deploying, err := r.hasUnfinished(ctx, p.Ref, 0, DeployType); err != nil || deploying {
			return err // the deploy writes the WorkerApp
		}
	}
	return r.applySpec(ctx, task, w, v, desired.Spec(w, v)) // limits are not checked: the version has served
}
