package jobs

import (
	"context"
	"strings"

	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/cluster"
)

// DeleteType is the job type of a deletion.
const DeleteType = "worker.delete_worker_cr"

// Delete is the payload: take this worker out of the cluster.
type Delete struct{ Ref }

type deletion struct{ Params }

// NewDelete defines the job.
func NewDelete(p Params) job.Definition {
	return job.Define(job.Spec{Type: DeleteType, Aliases: []string{"DeleteWorkerCRJob", "DeleteWorkerCR"}}, deletion{p})
}

// Execute removes what there is of the worker, and ends when nothing is left. The row is usually gone by now, and the worker may
// never have existed.
func (d deletion) Execute(ctx context.Context, task job.Task, p Delete) error {
	taken, err := d.Store.OwnedByOther(ctx, p.WorkerID, p.UserUID)
	if err != nil {
		return databaseError("reading the worker", err)
	}
	if taken {
		return job.NewTerminal("the worker belongs to another user")
	}
	if err := d.Queue.CancelParked(ctx, p.OrderingKey(), task.ID, false, "the worker was deleted"); err != nil {
		return databaseError("ending deploys", err)
	}
	left, err := d.Remover.Remove(ctx, p.WorkerID, p.UserUID)
	if err != nil {
		return clusterError("deleting the worker's objects", err)
	}
	if err := d.Store.Deleted(ctx, p.WorkerID, p.UserUID); err != nil {
		return databaseError("marking the worker", err)
	}
	if len(left) > 0 {
		return &job.Error{Kind: job.Snooze, Delay: deletionWait, Backoff: true, Text: leftText(left)}
	}
	return nil
}

// leftText names what is still there, and what holds it.
func leftText(left []cluster.Part) string {
	names := make([]string, len(left))
	for i, part := range left {
		names[i] = part.Kind + " " + part.Ref.Namespace + "/" + part.Ref.Name
		if len(part.Finalizers) > 0 {
			names[i] += ", held by the finalizer " + strings.Join(part.Finalizers, " and ")
		}
	}
	return "waiting until all of the worker is gone: " + strings.Join(names, "; ")
}
