package reconcile

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/internal/rolloutstate"
	"app238.com/inner/modules/controller/workerapp"
)

// scaledToZero is the reason of the event that tells of it.
const scaledToZeroReason = "ScaledToZero"

// idle tells whether a worker is to have no pods: it has never served, and its version has failed for longer than the settings
// have it keep what its pods reserve. The next task gives it pods again. It returns after how long to look again, 0 for no need.
func (r *Reconciler) shouldScaleToZero(ctx context.Context, app *workerapp.WorkerApp, live *appsv1.Deployment) (bool, time.Duration) {
	failed, _ := conditions.Previous(app)
	if r.config.ScaleToZeroAfter == 0 || live == nil || live.Status.ReadyReplicas > 0 ||
		failed.Phase != workerapp.Failed || !rolloutstate.IsPodReason(failed.Reason) || conditions.HasRun(app) {
		return false, 0
	}
	if wait := failed.Since.Add(r.config.ScaleToZeroAfter).Sub(r.now()); wait > 0 {
		return false, wait
	}
	current, err := r.lookUpContent(ctx, app)
	if err != nil { // what is there stays until the rows can be asked
		return isZero(live), r.config.RetryDelayMax
	}
	return !current.Served, 0
}

func isZero(d *appsv1.Deployment) bool { return d.Spec.Replicas != nil && *d.Spec.Replicas == 0 }

// scaleToZero leaves the state as it is told already.
func (r *Reconciler) scaleToZero(ctx context.Context, app *workerapp.WorkerApp, live *appsv1.Deployment, hash string) (conditions.State, time.Duration, error) {
	state, _ := conditions.Previous(app)
	desired, err := r.builder.Deployment(app, hash, 0)
	if err != nil {
		return state, 0, err
	}
	if _, err := r.applyDeployment(ctx, app, desired, live); err != nil {
		return state, 0, err
	}
	if !isZero(live) {
		r.events.Event(app, false, scaledToZeroReason,
			fmt.Sprintf("the worker has never served and failed for %s: it has no pods until it is deployed again", r.config.ScaleToZeroAfter))
	}
	return state, 0, nil
}
