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
	"app238.com/inner/modules/workers/internal/desired"
	"app238.com/inner/modules/workers/internal/store"
)

// DeployType is the job type of a deploy.
const DeployType = "worker.deploy_worker"

// Deploy is the payload: deploy this version of this worker.
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

// deletionPollInterval is the time between two checks whether the previous WorkerApp of the same name is deleted.
const deletionPollInterval = time.Second

const deletionText = "waiting for the deletion of the previous worker of the same name"

type deploy struct{ Params }

var _ job.DiscardHandler[Deploy] = deploy{}

// NewDeploy defines the job: it applies the WorkerApp and parks until the controller has recorded the outcome.
func NewDeploy(p Params) job.Definition {
	return job.Define(job.Spec{Type: DeployType, Aliases: []string{"DeployWorkerJob", "DeployWorker"}}, deploy{p})
}

// Execute compares the rows with the WorkerApp, so that it can be repeated after any step: first it updates the rows and
// applies the WorkerApp; once the WorkerApp names this task, the version's status is the result.
func (d deploy) Execute(ctx context.Context, task job.Task, p Deploy) error {
	w, v, err := d.findRows(ctx, p)
	if err != nil {
		return err
	}
	app, err := d.findApp(ctx, p.Ref)
	switch {
	case err != nil:
		return err
	case app == nil:
		app = &cluster.State{}
	case app.Deleting:
		return job.NewSnooze(deletionPollInterval, deletionText)
	}
	switch newer, err := d.supersededBy(ctx, task, p, w, v, app); {
	case err != nil:
		return databaseError("reading newer versions", err)
	case newer != 0:
		return d.endSuperseded(ctx, task, p, newer)
	}
	if app.Version == p.VersionID && app.Task >= task.ID {
		if done, err := d.completed(ctx, task, p, w, v, app); done || err != nil {
			return err
		}
	}
	// A worker without a status whose WorkerApp carries this task was restored: no outcome would be written to its rows.
	if app.Task != task.ID || w.Status == store.Unloaded {
		switch newer, err := d.queuedNewer(ctx, task, p, w); {
		case err != nil:
			return databaseError("reading newer deploys", err)
		case newer != 0:
			return d.endSuperseded(ctx, task, p, newer)
		}
		if err := d.start(ctx, task, p, w, v, app); err != nil {
			return err
		}
	}
	if err := d.applyVersion(ctx, task, w, v); err != nil {
		return err
	}
	return parked(p)
}

// supersededBy returns the newer version that is active or being rolled out and makes this deploy pointless; else 0.
// Versions that the database does not have are ignored. For a version that has served before, the order of the tasks decides
// instead: a later task for it is a rollback.
func (d deploy) supersededBy(
	ctx context.Context, task job.Task, p Deploy, w *ent.Worker, v *ent.WorkerDeployVersion, app *cluster.State,
) (int64, error) {
	later, served := app.Task > task.ID, store.Served(v)
	if served && later && app.Version != p.VersionID || !served && store.Newer(app.Version, p.VersionID, later) {
		if exists, err := d.versionExists(ctx, w, app.Version); err != nil || exists {
			return app.Version, err
		}
	}
	if w.ActiveVersionID != nil && !served && store.Newer(int64(*w.ActiveVersionID), p.VersionID, false) {
		return int64(*w.ActiveVersionID), nil
	}
	return 0, nil
}

func (d deploy) versionExists(ctx context.Context, w *ent.Worker, version int64) (bool, error) {
	_, err := d.Store.Version(ctx, w, int(version))
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// completed reports whether nothing is to be written, because the WorkerApp names the version and this task or a later one,
// and returns the result of the deploy. When the rows were restored to a state before a recorded outcome, the rollout is
// repeated.
func (d deploy) completed(
	ctx context.Context, task job.Task, p Deploy, w *ent.Worker, v *ent.WorkerDeployVersion, app *cluster.State,
) (bool, error) {
	switch {
	case v.Status != store.Loading:
		return true, resultOf(v)
	case app.Task > task.ID:
		return true, parked(p) // a sync of the environment restarts the pods of this version
	case !app.Recorded:
		return false, nil
	}
	// The outcome is written to the rows before the status, so an outcome in the status must be in the rows read now.
	v, err := d.Store.Version(ctx, w, v.ID)
	switch {
	case err != nil:
		return false, databaseError("reading the version", err)
	case v.Status != store.Loading:
		return true, resultOf(v)
	}
	if err := d.Origins.MarkRestored(ctx, p.OrderingKey(), app.Origin); err != nil {
		return false, databaseError("changing the id of the database", err)
	}
	app.Task = 0
	return false, nil
}

func parked(p Deploy) error {
	return job.NewParked(fmt.Sprintf("waiting for the pods of version %d to serve", p.VersionID))
}

// OnDiscarded writes the reason to the version, if the ids match and the version has no outcome.
func (d deploy) OnDiscarded(ctx context.Context, task job.Task, p Deploy, reason string) error {
	return d.recordDiscarded(ctx, task, p, reason)
}

// recordDiscarded keeps the worker's status when a later task is going to write it.
func (d deploy) recordDiscarded(ctx context.Context, task job.Task, p Deploy, reason string) error {
	later, err := d.hasUnfinished(ctx, p.Ref, task.ID, StatusWriters()...)
	if err != nil {
		return err
	}
	if err := d.Store.RecordDiscarded(ctx, p.WorkerID, p.UserUID, int(p.VersionID), reason, later); err != nil {
		return databaseError("updating the version", err)
	}
	return nil
}

// findRows reads the rows, and rejects ids that do not belong together before anything is written.
func (d deploy) findRows(ctx context.Context, p Deploy) (*ent.Worker, *ent.WorkerDeployVersion, error) {
	w, err := d.findWorker(ctx, p.Ref)
	if err != nil {
		return nil, nil, err
	}
	v, err := d.Store.Version(ctx, w, int(p.VersionID))
	if err == nil {
		_, err = d.Store.SecretKey(ctx, p.UserUID)
	}
	switch {
	case err == nil:
		return w, v, nil
	case isNotFound(err):
		return nil, nil, job.NewTerminal("%s", err.Error())
	}
	return nil, nil, databaseError("reading the version", err)
}

// start rejects an invalid environment or spec, marks the rows as loading and supersedes older deploys.
func (d deploy) start(
	ctx context.Context, task job.Task, p Deploy, w *ent.Worker, v *ent.WorkerDeployVersion, app *cluster.State,
) error {
	if err := desired.CheckEnvironment(w.EnvJSON); err != nil {
		return job.NewTerminal("%s", err.Error())
	}
	if _, err := d.checkedSpec(w, v); err != nil {
		return err
	}
	if err := d.Store.MarkLoading(ctx, w, v, int(app.Version)); err != nil {
		return databaseError("updating the version", err)
	}
	if err := d.Queue.CancelParked(ctx, p.OrderingKey(), task.ID, true, "superseded by a later deploy"); err != nil {
		return databaseError("superseding older deploys", err)
	}
	return nil
}

// queuedNewer returns the version of a later deploy of the same worker that has not started yet, if it is newer; else 0.
func (d deploy) queuedNewer(ctx context.Context, task job.Task, p Deploy, w *ent.Worker) (int64, error) {
	info, err := d.Queue.NewestPending(ctx, p.OrderingKey(), DeployType, task.ID)
	if err != nil || info == nil {
		return 0, err
	}
	var later Deploy
	if err := json.Unmarshal(info, &later); err != nil {
		return 0, fmt.Errorf("task_info of a later deploy: %w", err)
	}
	if !store.Newer(later.VersionID, p.VersionID, true) {
		return 0, nil
	}
	if exists, err := d.versionExists(ctx, w, later.VersionID); err != nil || !exists {
		return 0, err
	}
	return later.VersionID, nil
}

// endSuperseded ends a deploy that a newer version made pointless.
func (d deploy) endSuperseded(ctx context.Context, task job.Task, p Deploy, newer int64) error {
	text := store.SupersededText(newer)
	if err := d.recordDiscarded(ctx, task, p, text); err != nil {
		return err
	}
	return job.NewSuperseded(text)
}

// resultOf returns the result of the task from the recorded outcome of its version.
func resultOf(v *ent.WorkerDeployVersion) error {
	if v.Status == store.Success {
		return nil
	}
	return rolloutFailed(store.Reason(v))
}
