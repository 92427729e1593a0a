package jobs

import (
	"context"
	"errors"
	"time"

	"app238.com/inner/ent"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/cluster"
	"app238.com/inner/modules/workers/internal/store"
)

// Sync is the payload of both kinds of change of a worker's environment.
type Sync struct {
	Ref
	// Data maps names to values. A value is nil once it was applied and erased.
	Data map[string]*string `json:"data"`
}

// Validate checks the ids. Names are validated when the task runs, so that the worker's row shows an invalid one.
func (s Sync) Validate() error {
	if err := s.Ref.Validate(); err != nil {
		return err
	}
	if s.Data == nil {
		return errors.New("data: required")
	}
	return nil
}

// WithoutSecrets implements job.Secret.
func (s Sync) WithoutSecrets() job.Payload {
	erased := Sync{Ref: s.Ref, Data: make(map[string]*string, len(s.Data))}
	for name := range s.Data {
		erased.Data[name] = nil
	}
	return erased
}

// sync is common to both kinds of change: it restarts the pods with the desired environment. prepare runs before that.
type sync struct {
	Params
	prepare func(ctx context.Context, w *ent.Worker, p Sync) error
}

var _ job.DiscardHandler[Sync] = sync{}

// statusPollInterval is the time between two reads of the failure's reason.
const statusPollInterval = time.Second

// Execute compares the WorkerApp with the task, so that it can be repeated after any step. A WorkerApp that names this task
// or a later one has been updated: the controller reads the present environment for each task.
func (s sync) Execute(ctx context.Context, task job.Task, p Sync) error {
	w, err := s.findWorker(ctx, p.Ref)
	if err != nil {
		return err
	}
	app, err := s.findApp(ctx, p.Ref)
	switch {
	case err != nil:
		return err
	case app != nil && app.Deleting:
		return job.NewSnooze(deletionPollInterval, deletionText)
	case app != nil && app.Task >= task.ID:
		return s.completed(ctx, task, w, app)
	}
	if err := s.Store.MarkChanging(ctx, p.WorkerID, p.UserUID); err != nil {
		return databaseError("updating the worker", err)
	}
	if err := s.prepare(ctx, w, p); err != nil {
		return err
	}
	if err := s.Queue.EraseSecrets(ctx, task.ID, p); err != nil {
		return databaseError("erasing the values from the task", err)
	}
	return s.restartPods(ctx, task, w, app)
}

// restartPods restarts the pods when their environment has changed, or marks the worker as not deployed.
func (s sync) restartPods(ctx context.Context, task job.Task, w *ent.Worker, app *cluster.State) error {
	v, err := s.desiredVersion(ctx, w, app)
	if err != nil {
		return err
	}
	if v == nil {
		return s.completeUndeployed(ctx, w)
	}
	if err := s.applyVersion(ctx, task, w, v); err != nil {
		return err
	}
	return job.NewParked("waiting for the pods to run with the changed environment")
}

// completeUndeployed ends a change before the first deploy, which will apply it. An unfinished deploy writes the status
// itself.
func (s sync) completeUndeployed(ctx context.Context, w *ent.Worker) error {
	deploying, err := s.hasUnfinished(ctx, Ref{WorkerID: w.Wid, UserUID: w.UserUID}, 0, DeployType)
	if err != nil || deploying {
		return err
	}
	if err := s.Store.MarkNotDeployed(ctx, w.Wid, w.UserUID); err != nil {
		return databaseError("updating the worker", err)
	}
	return nil
}

// completed returns the result of the change once it is recorded: first in the rows, then with its reason in the WorkerApp's
// status.
func (s sync) completed(ctx context.Context, task job.Task, w *ent.Worker, app *cluster.State) error {
	switch {
	case w.Status == store.Active:
		return nil
	case app.Recorded && app.Running:
		return s.completeRunning(ctx, task, w, app)
	case app.Recorded:
		return rolloutFailed(app.Reason)
	case w.Status == store.Error:
		return job.NewSnooze(statusPollInterval, "waiting for the reason in the WorkerApp's status")
	}
	return job.NewParked("waiting for the pods to run with the changed environment")
}

// completeRunning ends a change whose pods serve. When a restore of the database lost that outcome, it is recorded again.
func (s sync) completeRunning(ctx context.Context, task job.Task, w *ent.Worker, app *cluster.State) error {
	if w.Status != store.Loading {
		return nil
	}
	later, err := s.hasUnfinished(ctx, Ref{WorkerID: w.Wid, UserUID: w.UserUID}, task.ID, StatusWriters()...)
	if err != nil || later {
		return err
	}
	if err := s.Store.RecordSuccess(ctx, w.Wid, w.UserUID, int(app.Version), false); err != nil {
		return databaseError("recording the version", err)
	}
	return nil
}

// OnDiscarded marks the worker, unless a later task is going to write its status.
func (s sync) OnDiscarded(ctx context.Context, task job.Task, p Sync, _ string) error {
	if err := s.Queue.EraseSecrets(ctx, task.ID, p); err != nil {
		return err
	}
	later, err := s.hasUnfinished(ctx, p.Ref, task.ID, StatusWriters()...)
	if err != nil || later {
		return err
	}
	return s.Store.MarkChangeFailed(ctx, p.WorkerID, p.UserUID)
}
