package jobs

import (
	"context"
	"errors"
	"strings"

	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/cluster"
	"app238.com/inner/modules/workers/internal/store"
)

// DeleteType is the job type of a deletion.
const DeleteType = "worker.delete_worker_cr"

// Delete is the payload: delete this worker from the cluster.
type Delete struct {
	Ref
	// Orphan is true when the audit found the worker without a row: a row that is there again, restored say, keeps it.
	Orphan bool `json:"orphan,omitempty"`
}

type deletion struct{ Params }

// NewDelete defines the job.
func NewDelete(p Params) job.Definition {
	return job.Define(job.Spec{Type: DeleteType, Aliases: []string{"DeleteWorkerCRJob", "DeleteWorkerCR"}}, deletion{p})
}

// Execute deletes all objects of the worker, and ends when none remains. Usually the row is deleted already; the worker may
// never have existed.
func (d deletion) Execute(ctx context.Context, task job.Task, p Delete) error {
	owned, err := d.Store.OwnedByOther(ctx, p.WorkerID, p.UserUID)
	if err != nil {
		return databaseError("reading the worker", err)
	}
	if owned {
		return job.NewTerminal("the worker belongs to another user")
	}
	if p.Orphan {
		switch _, err := d.Store.Worker(ctx, p.WorkerID, p.UserUID); {
		case err == nil:
			return job.NewTerminal("the worker has a row again, and is kept")
		case !errors.Is(err, store.ErrNoWorker):
			return databaseError("reading the worker", err)
		}
	}
	if err := d.Queue.CancelParked(ctx, p.OrderingKey(), task.ID, false, "the worker was deleted"); err != nil {
		return databaseError("ending deploys", err)
	}
	remaining, err := d.Remover.Remove(ctx, p.WorkerID, p.UserUID)
	if err != nil {
		return clusterError("deleting the worker's objects", err)
	}
	if err := d.Store.MarkDeleted(ctx, p.WorkerID, p.UserUID); err != nil {
		return databaseError("updating the worker", err)
	}
	if len(remaining) > 0 {
		return &job.Error{Kind: job.Snooze, Delay: deletionPollInterval, Backoff: true, Text: remainingText(remaining)}
	}
	return nil
}

// remainingText names the objects that remain, and their finalizers.
func remainingText(remaining []cluster.Part) string {
	names := make([]string, len(remaining))
	for i, part := range remaining {
		names[i] = part.Kind + " " + part.Ref.Namespace + "/" + part.Ref.Name
		if len(part.Finalizers) > 0 {
			names[i] += ", held by the finalizer " + strings.Join(part.Finalizers, " and ")
		}
	}
	return "waiting for the deletion of the worker's objects: " + strings.Join(names, "; ")
}
