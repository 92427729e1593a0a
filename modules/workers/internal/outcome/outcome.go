// Package outcome is the workers' side of a rollout: it tells the controller what the rows wish the pods to see, and
// writes to the rows how a rollout ended.
package outcome

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/jobs"
	"app238.com/inner/modules/workers/internal/metrics"
	"app238.com/inner/modules/workers/internal/rows"
	"app238.com/inner/modules/workers/internal/wish"
)

// Outcome implements rollout.Source and rollout.Recorder.
type Outcome struct {
	rows    *rows.Rows
	queue   job.Queue
	metrics *metrics.Metrics
}

// New returns an Outcome.
func New(r *rows.Rows, q job.Queue, m *metrics.Metrics) *Outcome {
	return &Outcome{rows: r, queue: q, metrics: m}
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
	env, err := wish.Environment(w.EnvJSON)
	if err != nil {
		return rollout.Content{}, err
	}
	return rollout.Content{Env: env, SecretKey: key}, nil
}

func noOwner(err error) error {
	if errors.Is(err, rows.ErrNoWorker) || errors.Is(err, rows.ErrNoUser) {
		return rollout.ErrNoOwner
	}
	return err
}

// Record implements rollout.Recorder: it writes the rows, then lets the parked tasks look at them. A success after a
// failure heals the task too; a failure has the version restored that served before.
func (o *Outcome) Record(ctx context.Context, r rollout.Outcome) error {
	key := jobs.OrderingKey(r.WorkerID, r.OwnerID)
	later, err := o.queue.Unfinished(ctx, key, r.Task)
	if err != nil {
		return fmt.Errorf("look for later tasks: %w", err)
	}
	leave := slices.ContainsFunc(later, func(t string) bool { return slices.Contains(jobs.Settling(), t) })
	if r.Running {
		if err := o.rows.Succeeded(ctx, r.WorkerID, r.OwnerID, int(r.Version), leave); err != nil {
			return fmt.Errorf("record version %d: %w", r.Version, err)
		}
		o.metrics.Rollouts.WithLabelValues(metrics.Running).Inc()
		if err := o.queue.Heal(ctx, r.Task); err != nil {
			return fmt.Errorf("heal task %d: %w", r.Task, err)
		}
		return o.queue.Wake(ctx, key)
	}
	back, err := o.rows.Failed(ctx, r.WorkerID, r.OwnerID, int(r.Version), r.Reason, leave)
	if err != nil {
		return fmt.Errorf("record version %d: %w", r.Version, err)
	}
	o.metrics.Rollouts.WithLabelValues(metrics.Failed).Inc()
	// The task is woken before the restore is accepted: so it is the first to run, and sees its own WorkerApp.
	if err := o.queue.Wake(ctx, key); err != nil {
		return err
	}
	if !back || slices.Contains(later, jobs.RestoreType) {
		return nil
	}
	restore := jobs.Restore{Ref: jobs.Ref{WorkerID: r.WorkerID, UserUID: r.OwnerID}}
	if _, err := o.queue.Accept(ctx, jobs.RestoreType, restore); err != nil {
		return fmt.Errorf("have the last good version restored: %w", err)
	}
	o.metrics.Restores.Inc()
	return nil
}
