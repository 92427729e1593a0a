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

// Sync is the payload of both changes of a worker's environment.
type Sync struct {
	Ref
	// Data is names and values. A value is nil once it was erased: then it is where it belongs.
	Data map[string]*string `json:"data"`
}

// Validate checks the ids. Names are judged when the task is run, so that the worker's row can tell of them.
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

// sync is the part that is the same for both changes: the pods are to run with what the database wishes. prepare does what
// has to be done before they roll.
type sync struct {
	Params
	prepare func(ctx context.Context, w *ent.Worker, p Sync) error
}

var _ job.DiscardHandler[Sync] = sync{}

// statusWait is how soon a change looks again for the reason of its failure.
const statusWait = time.Second

// Execute compares the WorkerApp with the task, so that it can run again at any point. A WorkerApp that carries this task or
// a later one has been told: the controller looks the environment up anew for each task, and finds that of today.
func (s sync) Execute(ctx context.Context, task job.Task, p Sync) error {
	w, err := s.worker(ctx, p.Ref)
	if err != nil {
		return err
	}
	app, err := s.app(ctx, p.Ref)
	switch {
	case err != nil:
		return err
	case app != nil && app.Deleting:
		return job.NewSnooze(deletionWait, deletionText)
	case app != nil && app.Task >= task.ID:
		return s.ended(ctx, task, w, app)
	}
	if err := s.Store.Changing(ctx, p.WorkerID, p.UserUID); err != nil {
		return databaseError("marking the worker", err)
	}
	if err := s.prepare(ctx, w, p); err != nil {
		return err
	}
	if err := s.Queue.EraseSecrets(ctx, task.ID, p); err != nil {
		return databaseError("erasing the values from the task", err)
	}
	return s.roll(ctx, task, w, app)
}

// roll has the pods restarted where what they see has changed, or notes that there are none yet.
func (s sync) roll(ctx context.Context, task job.Task, w *ent.Worker, app *cluster.State) error {
	v, err := s.wished(ctx, w, app)
	if err != nil {
		return err
	}
	if v == nil {
		return s.notDeployed(ctx, w)
	}
	if err := s.apply(ctx, task, w, v); err != nil {
		return err
	}
	return job.NewParked("waiting for the pods to run with the changed environment")
}

// notDeployed ends a change before the first deploy, which will find it. A deploy that is under way writes the status itself.
func (s sync) notDeployed(ctx context.Context, w *ent.Worker) error {
	deploying, err := s.underWay(ctx, Ref{WorkerID: w.Wid, UserUID: w.UserUID}, 0, DeployType)
	if err != nil || deploying {
		return err
	}
	if err := s.Store.NotDeployed(ctx, w.Wid, w.UserUID); err != nil {
		return databaseError("marking the worker", err)
	}
	return nil
}

// ended tells how the change ended once that was recorded: in the rows, and a moment later in the WorkerApp's status, which has
// the reason.
func (s sync) ended(ctx context.Context, task job.Task, w *ent.Worker, app *cluster.State) error {
	switch {
	case w.Status == store.Active:
		return nil
	case app.Ended && app.Running:
		return s.running(ctx, task, w, app)
	case app.Ended:
		return rolloutFailed(app.Reason)
	case w.Status == store.Error:
		return job.NewSnooze(statusWait, "waiting for the reason in the WorkerApp's status")
	}
	return job.NewParked("waiting for the pods to run with the changed environment")
}

// running ends a change whose pods serve. That was written to the rows too, unless they were put back since: then it is again.
func (s sync) running(ctx context.Context, task job.Task, w *ent.Worker, app *cluster.State) error {
	if w.Status != store.Loading {
		return nil
	}
	later, err := s.underWay(ctx, Ref{WorkerID: w.Wid, UserUID: w.UserUID}, task.ID, Settling()...)
	if err != nil || later {
		return err
	}
	if err := s.Store.Succeeded(ctx, w.Wid, w.UserUID, int(app.Version), false); err != nil {
		return databaseError("recording the version", err)
	}
	return nil
}

// OnDiscarded marks the worker, unless a later task is about to write how the worker is.
func (s sync) OnDiscarded(ctx context.Context, task job.Task, p Sync, _ string) error {
	if err := s.Queue.EraseSecrets(ctx, task.ID, p); err != nil {
		return err
	}
	later, err := s.underWay(ctx, p.Ref, task.ID, Settling()...)
	if err != nil || later {
		return err
	}
	return s.Store.ChangeFailed(ctx, p.WorkerID, p.UserUID)
}
