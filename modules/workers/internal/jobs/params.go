// Package jobs holds the jobs of workers, one file a job type.
package jobs

import (
	"context"
	"fmt"

	"go.uber.org/fx"

	"app238.com/inner/app/database"
	"app238.com/inner/app/identifier"
	"app238.com/inner/app/kube"
	"app238.com/inner/ent"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/cluster"
	"app238.com/inner/modules/workers/internal/rows"
)

// Params are what the jobs of workers work with.
type Params struct {
	fx.In

	Rows  *rows.Rows
	Apps  *cluster.WorkerApps
	Queue job.Queue
}

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
	return job.NewFailed(what+" failed", err)
}

// clusterError says what an error of the cluster means for a task.
func clusterError(what string, err error) error {
	switch {
	case kube.Unavailable(err):
		return job.NewUnavailable("cluster", err)
	case kube.Refused(err):
		e := job.NewPermanent("%s failed: the cluster refused the worker's settings: %s", what, kube.Faults(err))
		e.Cause = err
		return e
	}
	return job.NewFailed(what+" failed", err)
}

// worker returns the row of a worker, or a permanent error when the ids do not belong together.
func (p Params) worker(ctx context.Context, r Ref) (*ent.Worker, error) {
	w, err := p.Rows.Worker(ctx, r.WorkerID, r.UserUID)
	switch {
	case err == nil:
		return w, nil
	case isNoRow(err):
		return nil, job.NewPermanent("%s", err.Error())
	}
	return nil, databaseError("reading the worker", err)
}
