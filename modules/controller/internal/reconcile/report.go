package reconcile

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

// report records the outcome if state has one that is not recorded yet, and then writes the status. A crash in between records
// the outcome twice, which a Recorder allows; the other order could lose it.
func (r *Reconciler) report(ctx context.Context, app *workerapp.WorkerApp, state conditions.State) error {
	now := r.now()
	next := conditions.Next(app, state, now)
	var recordErr error
	if outcome, ok := conditions.Outcome(app, state); ok {
		recordErr = r.recordOutcome(ctx, outcome)
		next = conditions.Recorded(app, next, state, recordErr, now)
	}
	if conditions.Equal(app.Status, next) {
		return recordErr
	}
	return errors.Join(recordErr, ignoreNotFound(r.patchStatus(ctx, app, next, state.Reason)))
}

func (r *Reconciler) recordOutcome(ctx context.Context, outcome rollout.Outcome) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if err := r.recorder.Record(ctx, outcome); err != nil {
		return fmt.Errorf("record the outcome: %w", err)
	}
	return nil
}

// patchStatus writes next. The log gets only the reason: the message may hold output of the program.
func (r *Reconciler) patchStatus(ctx context.Context, app *workerapp.WorkerApp, next workerapp.Status, reason string) error {
	patch, err := conditions.Patch(app.ResourceVersion, next)
	if err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	written, err := r.clients.MergePatch(ctx, workerapp.Resource(), app.Namespace, app.Name, patch, "status")
	if err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	r.expectWrite(app.Name, kube.Ref{Resource: workerapp.Resource(), Namespace: app.Namespace, Name: app.Name}, written)
	if app.Status.Phase != next.Phase {
		r.log.Info("phase changed", zap.String("app", app.Name), zap.String("phase", string(next.Phase)),
			zap.String("reason", reason), zap.Int64("version", next.Version), zap.Int64("task", next.Task))
		r.recordPhase(app, next.Phase, reason, next.Message)
	}
	return nil
}
