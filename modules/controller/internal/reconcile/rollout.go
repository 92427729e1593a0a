package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"app238.com/inner/app/guard"
	"app238.com/inner/modules/controller/internal/cache"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/internal/content"
	"app238.com/inner/modules/controller/internal/rolloutstate"
	"app238.com/inner/modules/controller/workerapp"
)

// reconcileRollout applies the pods' environment and their NetworkPolicy before the Deployment that starts them.
func (r *Reconciler) reconcileRollout(ctx context.Context, app *workerapp.WorkerApp, actual cache.Actual,
	pods podContent) (conditions.State, time.Duration, error) {
	var secret *corev1.Secret
	environment := guard.Start(func() (err error) {
		secret, err = r.reconcileEnvironment(ctx, app, actual, pods)
		return err
	})
	policy, err := r.builder.Policy(app)
	if err == nil {
		_, err = r.applyOrDelete(ctx, app, policy, toContent(actual.Policy))
	}
	if err := cmp.Or(<-environment, err); err != nil {
		return conditions.State{}, 0, err
	}
	hash := content.PodHash(pods.secretKey, pods.env, content.Merge(secret, pods.reserved))
	toZero, toZeroRequeue := r.shouldScaleToZero(ctx, app, actual.Deployment)
	if toZero {
		return r.scaleToZero(ctx, app, actual.Deployment, hash)
	}
	desired, err := r.builder.Deployment(app, hash, children.Replicas(app))
	if err != nil {
		return conditions.State{}, 0, err
	}
	deployment, restartDelay := actual.Deployment, r.restartDelay(app, desired, actual.Deployment)
	if restartDelay == 0 {
		if deployment, err = r.applyDeployment(ctx, app, desired, actual.Deployment); err != nil {
			return conditions.State{}, 0, err
		}
	}
	state, requeueAfter := rolloutstate.Evaluate(rolloutstate.Input{
		App: app, Replicas: children.Replicas(app), Deployment: deployment, Pods: actual.Pods,
		Grace: r.config.FailureGrace, Deadline: r.config.ProgressDeadline, Now: r.now(),
	})
	return state, shorterWait(shorterWait(requeueAfter, restartDelay), toZeroRequeue), nil
}

func (r *Reconciler) applyDeployment(ctx context.Context, app *workerapp.WorkerApp, desired children.Child,
	live *appsv1.Deployment) (*appsv1.Deployment, error) {
	applied, err := r.applyIfDiffers(ctx, app, desired, toContent(live))
	if err != nil {
		return nil, err
	}
	deployment := &appsv1.Deployment{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(applied, deployment); err != nil {
		return nil, fmt.Errorf("read the Deployment: %w", err)
	}
	return deployment, nil
}
