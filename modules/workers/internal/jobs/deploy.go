package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"app238.com/inner/ent"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/cluster"
	"app238.com/inner/modules/workers/internal/rows"
	"app238.com/inner/modules/workers/internal/wish"
)

// DeployType is the job type of a deploy.
const DeployType = "worker.deploy_worker"

// Deploy is the payload: bring this version of this worker to run.
type Deploy struct {
	Ref
	VersionID int64 `json:"version_id"`
}

// Validate checks the ids.
func (d Deploy) Validate() error {
	if err := d.Ref.Validate(); err != nil {
		return err
	}
	if d.VersionID < 1 {
		return errors.New("version_id: must be a positive integer")
	}
	return nil
}

// deletionWait is how soon a deploy looks again when the earlier WorkerApp of the same name is still being deleted.
const deletionWait = time.Second

const deletionText = "waiting until the deleted worker of the same name is gone"

type deploy struct{ Params }

// NewDeploy defines the job: it writes the WorkerApp and parks until the controller has recorded the outcome.
func NewDeploy(p Params) job.Definition {
	return job.Define(job.Spec{Type: DeployType, Aliases: []string{"DeployWorkerJob", "DeployWorker"}}, deploy{p})
}

// Execute compares the rows with the WorkerApp, so that it can run again at any point: first it marks the rows and
// applies; once the WorkerApp carries this task, the version's status tells how it ended.
func (d deploy) Execute(ctx context.Context, task job.Task, p Deploy) error {
	w, v, err := d.find(ctx, p)
	if err != nil {
		return err
	}
	app, err := d.app(ctx, p.Ref)
	switch {
	case err != nil:
		return err
	case app == nil:
		app = &cluster.State{}
	case app.Deleting:
		return job.NewLater(deletionWait, deletionText)
	}
	if newer, err := d.overtaken(ctx, task, p, w, v, app); err != nil || newer != 0 {
		return d.superseded(ctx, task, p, newer, err)
	}
	if app.Version == p.VersionID && app.Task >= task.ID {
		if done, err := d.ended(ctx, task, p, w, v, app); done || err != nil {
			return err
		}
	}
	// Rows that say nothing of a WorkerApp which carries this task were put back: no outcome would be written to them.
	if app.Task != task.ID || w.Status == rows.Unloaded {
		if newer, err := d.newer(ctx, task, p, w); err != nil || newer != 0 {
			return d.superseded(ctx, task, p, newer, err)
		}
		if err := d.begin(ctx, task, p, w, v, app); err != nil {
			return err
		}
	}
	if err := d.apply(ctx, task, w, v); err != nil {
		return err
	}
	return parked(p)
}

// overtaken returns the version that makes the deploy pointless, because it is newer and serves or is being rolled out; else 0.
// One that the database does not have is no version. Of a version that has served before, it is not the age that counts but that
// of the task: whoever asks for it wants to go back.
func (d deploy) overtaken(
	ctx context.Context, task job.Task, p Deploy, w *ent.Worker, v *ent.WorkerDeployVersion, app *cluster.State,
) (int64, error) {
	later, back := app.Task > task.ID, rows.Served(v)
	if back && later && app.Version != p.VersionID || !back && rows.Newer(app.Version, p.VersionID, later) {
		if exists, err := d.exists(ctx, w, app.Version); err != nil || exists {
			return app.Version, err
		}
	}
	if w.ActiveVersionID != nil && !back && rows.Newer(int64(*w.ActiveVersionID), p.VersionID, false) {
		return int64(*w.ActiveVersionID), nil
	}
	return 0, nil
}

func (d deploy) exists(ctx context.Context, w *ent.Worker, version int64) (bool, error) {
	_, err := d.Rows.Version(ctx, w, int(version))
	if isNoRow(err) {
		return false, nil
	}
	return err == nil, err
}

// ended tells whether there is nothing to write, because the WorkerApp carries the version and this task or a later one, and
// how the deploy ends. Where the rows were put back behind an outcome that was recorded, the rollout is asked for anew.
func (d deploy) ended(ctx context.Context, task job.Task, p Deploy, w *ent.Worker, v *ent.WorkerDeployVersion, app *cluster.State) (bool, error) {
	switch {
	case v.Status != rows.Loading:
		return true, outcome(v)
	case app.Task > task.ID:
		return true, parked(p) // a change of the environment restarts the pods of this version
	case !app.Ended:
		return false, nil
	}
	// The outcome was written to the rows before it was to the status: whoever has read that finds it in the rows.
	v, err := d.Rows.Version(ctx, w, v.ID)
	switch {
	case err != nil:
		return false, databaseError("reading the version", err)
	case v.Status != rows.Loading:
		return true, outcome(v)
	}
	if err := d.Origins.LostOutcome(ctx, p.OrderingKey(), app.Origin); err != nil {
		return false, databaseError("giving the database a new id", err)
	}
	app.Task = 0
	return false, nil
}

func parked(p Deploy) error {
	return job.NewParked(fmt.Sprintf("waiting for the pods of version %d to serve", p.VersionID))
}

// GiveUp writes the reason to the version, where the ids belong together and it has no outcome.
func (d deploy) GiveUp(ctx context.Context, task job.Task, p Deploy, reason string) error {
	return d.abandon(ctx, task, p, reason)
}

// abandon leaves the worker's status to a later task where there is one.
func (d deploy) abandon(ctx context.Context, task job.Task, p Deploy, reason string) error {
	later, err := d.underWay(ctx, p.Ref, task.ID, Settling()...)
	if err != nil {
		return err
	}
	if err := d.Rows.Abandoned(ctx, p.WorkerID, p.UserUID, int(p.VersionID), reason, later); err != nil {
		return databaseError("marking the version", err)
	}
	return nil
}

// find reads the rows, and refuses ids that do not belong together before anything is written.
func (d deploy) find(ctx context.Context, p Deploy) (*ent.Worker, *ent.WorkerDeployVersion, error) {
	w, err := d.worker(ctx, p.Ref)
	if err != nil {
		return nil, nil, err
	}
	v, err := d.Rows.Version(ctx, w, int(p.VersionID))
	if err == nil {
		_, err = d.Rows.SecretKey(ctx, p.UserUID)
	}
	switch {
	case err == nil:
		return w, v, nil
	case isNoRow(err):
		return nil, nil, job.NewPermanent("%s", err.Error())
	}
	return nil, nil, databaseError("reading the version", err)
}

// begin refuses what no pod can have, marks the rows as loading and ends what the deploy makes pointless.
func (d deploy) begin(
	ctx context.Context, task job.Task, p Deploy, w *ent.Worker, v *ent.WorkerDeployVersion, app *cluster.State,
) error {
	if err := wish.CheckEnvironment(w.EnvJSON); err != nil {
		return job.NewPermanent("%s", err.Error())
	}
	if _, err := d.spec(w, v); err != nil {
		return err
	}
	if err := d.Rows.Begin(ctx, w, v, int(app.Version)); err != nil {
		return databaseError("marking the version", err)
	}
	if err := d.Queue.EndParked(ctx, p.OrderingKey(), task.ID, true, "superseded by a later deploy"); err != nil {
		return databaseError("superseding older deploys", err)
	}
	return nil
}

// newer returns the version of a later deploy of the same worker that has not begun yet, if it is newer; else 0.
func (d deploy) newer(ctx context.Context, task job.Task, p Deploy, w *ent.Worker) (int64, error) {
	info, err := d.Queue.Superseding(ctx, p.OrderingKey(), DeployType, task.ID)
	if err != nil || info == nil {
		return 0, err
	}
	var later Deploy
	if err := json.Unmarshal(info, &later); err != nil {
		return 0, fmt.Errorf("task_info of a later deploy: %w", err)
	}
	if !rows.Newer(later.VersionID, p.VersionID, true) {
		return 0, nil
	}
	if exists, err := d.exists(ctx, w, later.VersionID); err != nil || !exists {
		return 0, err
	}
	return later.VersionID, nil
}

// superseded ends a deploy that a newer version made pointless; err is that of looking for one.
func (d deploy) superseded(ctx context.Context, task job.Task, p Deploy, newer int64, err error) error {
	if err != nil {
		return databaseError("looking for newer deploys", err)
	}
	text := rows.SupersededText(newer)
	if err := d.abandon(ctx, task, p, text); err != nil {
		return err
	}
	return job.NewSuperseded(text)
}

// outcome is how the task ends when the version has been recorded.
func outcome(v *ent.WorkerDeployVersion) error {
	if v.Status == rows.Success {
		return nil
	}
	return rolloutFailed(rows.Reason(v))
}

func isNoRow(err error) bool {
	return errors.Is(err, rows.ErrNoWorker) || errors.Is(err, rows.ErrNoVersion) || errors.Is(err, rows.ErrNoUser)
}
