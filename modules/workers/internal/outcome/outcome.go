// Package outcome implements the controller's seam: it returns the desired environment of a worker's pods, and records the
// outcomes of rollouts in the rows.
package outcome

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/desired"
	"app238.com/inner/modules/workers/internal/jobs"
	"app238.com/inner/modules/workers/internal/metrics"
	"app238.com/inner/modules/workers/internal/origin"
	"app238.com/inner/modules/workers/internal/store"
)

// Recorder implements rollout.Source and rollout.Recorder.
type Recorder struct {
	store   *store.Store
	origins *origin.Origins
	queue   job.Queue
	metrics *metrics.Metrics
}

// New returns a Recorder.
func New(r *store.Store, o *origin.Origins, q job.Queue, m *metrics.Metrics) *Recorder {
	return &Recorder{store: r, origins: o, queue: q, metrics: m}
}

// Content implements rollout.Source.
func (o *Recorder) Content(ctx context.Context, workerID, ownerID string) (rollout.Content, error) {
	w, err := o.store.Worker(ctx, workerID, ownerID)
	if err != nil {
		return rollout.Content{}, asNoOwner(err)
	}
	key, err := o.store.SecretKey(ctx, ownerID)
	if err != nil {
		return rollout.Content{}, asNoOwner(err)
	}
	env, err := desired.Environment(w.EnvJSON)
	if err != nil {
		return rollout.Content{}, err
	}
	return rollout.Content{Env: env, SecretKey: key, Served: w.ActiveVersionID != nil}, nil
}

func asNoOwner(err error) error {
	if errors.Is(err, store.ErrNoWorker) || errors.Is(err, store.ErrNoUser) {
		return rollout.ErrNoOwner
	}
	return err
}

// Record implements rollout.Recorder: it updates the rows, then resumes the parked tasks. A success after a failure also
// completes the failed task; a failure queues the restore of the active version.
func (o *Recorder) Record(ctx context.Context, r rollout.Outcome) error {
	key := jobs.OrderingKey(r.WorkerID, r.OwnerID)
	relation, err := o.origins.Compare(ctx, key, r.Origin)
	if err != nil {
		return fmt.Errorf("compare with the rows: %w", err)
	}
	if relation == origin.OtherDatabase {
		return o.handleOtherDatabase(ctx, key, r)
	}
	later, err := o.queue.ActiveTypes(ctx, key, r.Task)
	if err != nil {
		return fmt.Errorf("read later tasks: %w", err)
	}
	keepStatus := slices.ContainsFunc(later, func(t string) bool { return slices.Contains(jobs.StatusWriters(), t) })
	if r.Running {
		if err := o.store.RecordSuccess(ctx, r.WorkerID, r.OwnerID, int(r.Version), keepStatus); err != nil {
			return fmt.Errorf("record version %d: %w", r.Version, err)
		}
		o.metrics.Rollouts.WithLabelValues(metrics.Running).Inc()
		// In this order: a task that is about to fail either runs again, or has failed already and is completed.
		if err := o.queue.Resume(ctx, key); err != nil {
			return err
		}
		if err := o.queue.CompleteDiscarded(ctx, r.Task); err != nil {
			return fmt.Errorf("complete the failed task %d: %w", r.Task, err)
		}
		return nil
	}
	if r.HadRun {
		return o.recordLaterFailure(ctx, key, r, keepStatus)
	}
	rollback, err := o.store.RecordFailure(ctx, r.WorkerID, r.OwnerID, int(r.Version), r.Reason, keepStatus)
	if err != nil {
		return fmt.Errorf("record version %d: %w", r.Version, err)
	}
	o.metrics.Rollouts.WithLabelValues(metrics.Failed).Inc()
	// The task is resumed before the restore is accepted, so that it runs first and finds its own WorkerApp.
	if err := o.queue.Resume(ctx, key); err != nil {
		return err
	}
	if !rollback || slices.Contains(later, jobs.RestoreType) {
		return nil
	}
	if err := o.queueRestore(ctx, r); err != nil {
		return err
	}
	o.metrics.Restores.Inc()
	return nil
}

// recordLaterFailure is for a version that failed after it had succeeded. It is not rolled back: its owner does not expect
// an older version.
func (o *Recorder) recordLaterFailure(ctx context.Context, key string, r rollout.Outcome, keepStatus bool) error {
	reason := fmt.Sprintf("since %s: %s", r.Since.UTC().Format(time.RFC3339), r.Reason)
	if err := o.store.RecordLaterFailure(ctx, r.WorkerID, r.OwnerID, int(r.Version), reason, r.Serving, keepStatus); err != nil {
		return fmt.Errorf("record version %d: %w", r.Version, err)
	}
	o.metrics.Rollouts.WithLabelValues(metrics.Broke).Inc()
	return o.queue.Resume(ctx, key)
}

func (o *Recorder) queueRestore(ctx context.Context, r rollout.Outcome) error {
	restore := jobs.Restore{Ref: jobs.Ref{WorkerID: r.WorkerID, UserUID: r.OwnerID}}
	if _, err := o.queue.Accept(ctx, jobs.RestoreType, restore); err != nil {
		return fmt.Errorf("queue the restore of the active version: %w", err)
	}
	return nil
}

// handleOtherDatabase is for an outcome of a version and a task of another database, which the rows do not have. Unfinished
// tasks of the worker apply the WorkerApp again, or a restore does.
func (o *Recorder) handleOtherDatabase(ctx context.Context, key string, r rollout.Outcome) error {
	_, err := o.store.Worker(ctx, r.WorkerID, r.OwnerID)
	if errors.Is(err, store.ErrNoWorker) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the worker: %w", err)
	}
	unfinished, err := o.queue.ActiveTypes(ctx, key, 0)
	if err != nil {
		return fmt.Errorf("read unfinished tasks: %w", err)
	}
	if err := o.queue.Resume(ctx, key); err != nil || slices.Contains(unfinished, jobs.RestoreType) {
		return err
	}
	return o.queueRestore(ctx, r)
}
