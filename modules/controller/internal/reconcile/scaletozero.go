package reconcile

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/internal/rolloutstate"
	"app238.com/inner/modules/controller/workerapp"
)

// scaledToZeroReason is the reason of the event.
const scaledToZeroReason = "ScaledToZero"

// shouldScaleToZero reports whether a worker is to have no pods: it has never served, and its version has failed for longer than
// controller.scaleToZeroAfter. The next task starts pods again. It also returns when to requeue, 0 if not needed.
func (r *Reconciler) shouldScaleToZero(ctx context.Context, app *workerapp.WorkerApp,
	live *appsv1.Deployment) (bool, time.Duration) {
	failed, _ := conditions.Previous(app)
	if r.config.ScaleToZeroAfter == 0 || live == nil || live.Status.ReadyReplicas > 0 ||
		failed.Phase != workerapp.Failed || !rolloutstate.IsPodReason(failed.Reason) || conditions.HasRun(app) {
		return false, 0
	}
	if wait := failed.Since.Add(r.config.ScaleToZeroAfter).Sub(r.now()); wait > 0 {
		return false, wait
	}
	source, err := r.readContent(ctx, app)
	if err != nil { // the replicas stay until the rows can be read
		return isZero(live), r.config.RetryDelayMax
	}
	return !source.Served, 0
}

func isZero(d *appsv1.Deployment) bool { return d.Spec.Replicas != nil && *d.Spec.Replicas == 0 }

// scaleToZero removes the pods and keeps the reported state.
func (r *Reconciler) scaleToZero(ctx context.Context, app *workerapp.WorkerApp, live *appsv1.Deployment,
	hash string) (conditions.State, time.Duration, error) {
	state, _ := conditions.Previous(app)
	desired, err := r.builder.Deployment(app, hash, 0)
	if err != nil {
		return state, 0, err
	}
	if _, err := r.applyDeployment(ctx, app, desired, live); err != nil {
		return state, 0, err
	}
	if !isZero(live) {
		r.events.Event(app, corev1.EventTypeNormal, scaledToZeroReason,
			fmt.Sprintf("the worker has never served and failed for %s: it has no pods until it is deployed again",
				r.config.ScaleToZeroAfter))
	}
	return state, 0, nil
}
