package jobs

import (
	"context"

	"app238.com/inner/modules/tasks/job"
)

// DeleteType is the job type of a deletion.
const DeleteType = "worker.delete_worker_cr"

// Delete is the payload: take this worker out of the cluster.
type Delete struct{ Ref }

type deletion struct{ Params }

// NewDelete defines the job. The controller and the garbage collector remove what belongs to the WorkerApp; the Secret may
// be there without one.
func NewDelete(p Params) job.Definition {
	return job.Define(job.Spec{Type: DeleteType, Aliases: []string{"DeleteWorkerCRJob", "DeleteWorkerCR"}}, deletion{p})
}

// Execute removes the WorkerApp. The row is usually gone by now, and the worker may never have existed.
func (d deletion) Execute(ctx context.Context, task job.Task, p Delete) error {
	taken, err := d.Rows.Taken(ctx, p.WorkerID, p.UserUID)
	if err != nil {
		return databaseError("reading the worker", err)
	}
	if taken {
		return job.NewPermanent("the worker belongs to another user")
	}
	if err := d.Queue.EndParked(ctx, p.OrderingKey(), task.ID, false, "the worker was deleted"); err != nil {
		return databaseError("ending deploys", err)
	}
	if err := d.Apps.Delete(ctx, p.WorkerID, p.UserUID); err != nil {
		return clusterError("deleting the WorkerApp", err)
	}
	if err := d.Secrets.Delete(ctx, p.WorkerID, p.UserUID); err != nil {
		return clusterError("deleting the Secret", err)
	}
	if err := d.Rows.Deleted(ctx, p.WorkerID, p.UserUID); err != nil {
		return databaseError("marking the worker", err)
	}
	return nil
}

// GiveUp has no row to write to: deletions are asked for after the row is gone.
func (d deletion) GiveUp(context.Context, job.Task, Delete, string) error { return nil }
