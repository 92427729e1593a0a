// Package outcome is the workers' side of a rollout: it tells the controller what the rows wish the pods to see, and
// writes to the rows how a rollout ended.
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

// Outcome implements rollout.Source and rollout.Recorder.
type Outcome struct {
	rows    *store.Store
	origins *origin.Origins
	queue   job.Queue
	metrics *metrics.Metrics
}

// New returns an Outcome.
func New(r *store.Store, o *origin.Origins, q job.Queue, m *metrics.Metrics) *Outcome {
	return &Outcome{rows: r, origins: o, queue: q, metrics: m}
}

// Content implements rollout.Source.
func (o *Outcome) Content(ctx context.Context, workerID, ownerID string) (rollout.Content, error) {
	w, err := o.rows.Worker(ctx, workerID, ownerID)
	if err != nil {
		return rollout.Content{}, noOwner(err)
	}
	key, err := o.rows.SecretKey(ctx, ownerID)
	if err != nil {
		return rollout.Content{}, noOwner(err)
	}
	env, err := desired.Environment(w.EnvJSON)
	if err != nil {
		return rollout.Content{}, err
	}
	return rollout.Content{Env: env, SecretKey: key, Served: w.ActiveVersionID != nil}, nil
}

func noOwner(err error) error {
	if errors.Is(err, store.ErrNoWorker) || errors.Is(err, store.ErrNoUser) {
		return rollout.ErrNoOwner
	}
	return err
}

// Record implements rollout.Recorder: it writes the rows, then lets the parked tasks look at them. A success after a
// failure heals the task too; a failure has the version restored that served before.
func (o *Outcome) Record(ctx context.Context, r rollout.Outcome) error {
	key := jobs.OrderingKey(r.WorkerID, r.OwnerID)
	standing, err := o.origins.Judge(ctx, key, r.Origin)
	if err != nil {
		return fmt.Errorf("compare with the rows: %w", err)
	}
	if standing == origin.Foreign {
		return o.foreign(ctx, key, r)
	}
	later, err := o.queue.ActiveTypes(ctx, key, r.Task)
	if err != nil {
		return fmt.Errorf("look for later tasks: %w", err)
	}
	leave := slices.ContainsFunc(later, func(t string) bool { return slices.Contains(jobs.Settling(), t) })
	if r.Running {
		if err := o.rows.Succeeded(ctx, r.WorkerID, r.OwnerID, int(r.Version), leave); err != nil {
			return fmt.Errorf("record version %d: %w", r.Version, err)
		}
		o.metrics.Rollouts.WithLabelValues(metrics.Running).Inc()
		if err := o.queue.CompleteDiscarded(ctx, r.Task); err != nil {
			return fmt.Errorf("heal task %d: %w", r.Task, err)
		}
		return o.queue.Resume(ctx, key)
	}
	if r.Later {
		return o.broke(ctx, key, r, leave)
	}
	back, err := o.rows.Failed(ctx, r.WorkerID, r.OwnerID, int(r.Version), r.Reason, leave)
	if err != nil {
		return fmt.Errorf("record version %d: %w", r.Version, err)
	}
	o.metrics.Rollouts.WithLabelValues(metrics.Failed).Inc()
	// The task is woken before the restore is accepted: so it is the first to run, and sees its own WorkerApp.
	if err := o.queue.Resume(ctx, key); err != nil {
		return err
	}
	if !back || slices.Contains(later, jobs.RestoreType) {
		return nil
	}
	if err := o.restore(ctx, r); err != nil {
		return err
	}
	o.metrics.Restores.Inc()
	return nil
}

// broke is for a version that had run before it failed. There is nothing to go back to that its owner would expect.
func (o *Outcome) broke(ctx context.Context, key string, r rollout.Outcome, leave bool) error {
	reason := fmt.Sprintf("since %s: %s", r.Since.UTC().Format(time.RFC3339), r.Reason)
	if err := o.rows.Broke(ctx, r.WorkerID, r.OwnerID, int(r.Version), reason, r.Serving, leave); err != nil {
		return fmt.Errorf("record version %d: %w", r.Version, err)
	}
	o.metrics.Rollouts.WithLabelValues(metrics.Broke).Inc()
	return o.queue.Resume(ctx, key)
}

func (o *Outcome) restore(ctx context.Context, r rollout.Outcome) error {
	restore := jobs.Restore{Ref: jobs.Ref{WorkerID: r.WorkerID, UserUID: r.OwnerID}}
	if _, err := o.queue.Accept(ctx, jobs.RestoreType, restore); err != nil {
		return fmt.Errorf("have the last good version restored: %w", err)
	}
	return nil
}

// foreign is for an outcome of a version and a task of another database: the rows know nothing of it. Their own tasks write the
// WorkerApp anew, or a restore does.
func (o *Outcome) foreign(ctx context.Context, key string, r rollout.Outcome) error {
	_, err := o.rows.Worker(ctx, r.WorkerID, r.OwnerID)
	if errors.Is(err, store.ErrNoWorker) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the worker: %w", err)
	}
	unfinished, err := o.queue.ActiveTypes(ctx, key, 0)
	if err != nil {
		return fmt.Errorf("look for tasks: %w", err)
	}
	if err := o.queue.Resume(ctx, key); err != nil || slices.Contains(unfinished, jobs.RestoreType) {
		return err
	}
	return o.restore(ctx, r)
}
