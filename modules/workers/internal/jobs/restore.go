package jobs

import (
	"context"

	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/desired"
)

// RestoreType is the job type that brings a worker's WorkerApp back to the version that served last. Inner itself asks for it:
// after a failed rollout of a later version, and where a WorkerApp was lost or is one of another database.
const RestoreType = "worker.restore_worker"

// Restore is the payload.
type Restore struct{ Ref }

type restore struct{ Params }

// NewRestore defines the job.
func NewRestore(p Params) job.Definition {
	return job.Define(job.Spec{Type: RestoreType, Aliases: []string{"RestoreWorkerJob", "RestoreWorker"}}, restore{p})
}

// Execute writes the WorkerApp for the active version, unless what it is at is still wished and of this database. How that rollout ends is the
// controller's to record; the pods that serve are usually still those of this version, so that nothing restarts.
func (r restore) Execute(ctx context.Context, task job.Task, p Restore) error {
	w, err := r.worker(ctx, p.Ref)
	if err != nil {
		return err
	}
	app, err := r.app(ctx, p.Ref)
	switch {
	case err != nil:
		return err
	case app != nil && app.Deleting:
		return job.NewSnooze(deletionWait, deletionText)
	}
	v, err := r.wished(ctx, w, app)
	if err != nil || v == nil || (app != nil && app.Version == int64(v.ID) && !app.Foreign) {
		return err
	}
	if app == nil || app.Foreign {
		if deploying, err := r.underWay(ctx, p.Ref, 0, DeployType); err != nil || deploying {
			return err // it writes the WorkerApp
		}
	}
	return r.write(ctx, task, w, v, desired.Spec(w, v)) // whatever the limits are today: it has served
}
