package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
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
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

// makeChildren brings every child to what is wished, and tells how the rollout stands. What does not depend on the
// environment is made even while the database that tells the environment is away.
func (r *Reconciler) reconcileChildren(ctx context.Context, app *workerapp.WorkerApp, actual cache.Actual) (conditions.State, time.Duration, error) {
	pods, contentErr := r.podContentOf(ctx, app, actual)
	if _, ok := asStalled(contentErr); ok {
		return conditions.State{}, 0, contentErr
	}
	var network sync.WaitGroup
	var migrationRequeue time.Duration
	var networkErr error
	network.Go(func() {
		networkErr = guard.Call(func() (err error) {
			migrationRequeue, err = r.reconcileNetwork(ctx, app, actual)
			return err
		})
	})
	var state conditions.State
	var requeueAfter time.Duration
	err := contentErr
	if err == nil {
		state, requeueAfter, err = r.reconcileRollout(ctx, app, actual, pods)
	}
	network.Wait()
	return state, shorterWait(requeueAfter, migrationRequeue), errors.Join(err, networkErr)
}

// sooner returns the shorter of two waits, of which 0 is none.
func shorterWait(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// wantedContent is what the pods shall see.
type podContent struct {
	env       map[string]string
	reserved  map[string][]byte
	secretKey string
	// lookedUp: from the database, for something may have changed.
	lookedUp bool
}

// content returns what the pods shall see, from the cluster where that can be relied on, else from the database.
func (r *Reconciler) podContentOf(ctx context.Context, app *workerapp.WorkerApp, actual cache.Actual) (podContent, error) {
	current, ok := content.Known(app, actual.ConfigMap, actual.Secret)
	if !ok {
		var err error
		if current, err = r.lookUpContent(ctx, app); err != nil {
			return podContent{}, err
		}
	}
	env, err := content.Environment(current.Env)
	if err != nil {
		return podContent{}, &stalledError{reason: conditions.InvalidEnvironment, message: err.Error()}
	}
	return podContent{
		env: env, secretKey: current.SecretKey, lookedUp: !ok,
		reserved: content.Reserved(app.Spec.OwnerID, current.SecretKey, r.builder.CombinatorNamespace),
	}, nil
}

func (r *Reconciler) lookUpContent(ctx context.Context, app *workerapp.WorkerApp) (rollout.Content, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	current, err := r.source.Content(ctx, app.Spec.WorkerID, app.Spec.OwnerID)
	if errors.Is(err, rollout.ErrNoOwner) {
		return current, &stalledError{reason: conditions.NoOwner, message: rollout.ErrNoOwner.Error()}
	}
	if err != nil {
		return current, fmt.Errorf("look up the environment: %w", err)
	}
	return current, nil
}

// makeRollout makes what the pods see and what isolates them before the Deployment that starts them.
func (r *Reconciler) reconcileRollout(ctx context.Context, app *workerapp.WorkerApp, actual cache.Actual, pods podContent) (conditions.State, time.Duration, error) {
	var finalizerErr *corev1.Secret
	environment := guard.Start(func() (err error) {
		finalizerErr, err = r.reconcileEnvironment(ctx, app, actual, pods)
		return err
	})
	policy, err := r.builder.Policy(app)
	_, err = r.applyOrDelete(ctx, app, policy, toContent(actual.Policy), err)
	if err := cmp.Or(<-environment, err); err != nil {
		return conditions.State{}, 0, err
	}
	hash := content.PodHash(pods.secretKey, pods.env, content.Merge(finalizerErr, pods.reserved))
	shouldScaleToZero, idleRequeue := r.shouldScaleToZero(ctx, app, actual.Deployment)
	if shouldScaleToZero {
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
	return state, shorterWait(shorterWait(requeueAfter, restartDelay), idleRequeue), nil
}

func (r *Reconciler) applyDeployment(ctx context.Context, app *workerapp.WorkerApp, desired children.Child, live *appsv1.Deployment) (*appsv1.Deployment, error) {
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

// makeEnvironment writes the ConfigMap after the Secret: it notes the task whose content is there. It returns the Secret with
// the user's keys.
func (r *Reconciler) reconcileEnvironment(ctx context.Context, app *workerapp.WorkerApp, actual cache.Actual, pods podContent) (*corev1.Secret, error) {
	secret, err := r.builder.Secret(app, pods.reserved)
	if err != nil {
		return nil, err
	}
	finalizerErr, err := r.applySecret(ctx, app, secret, actual.Secret, pods.lookedUp)
	if err != nil {
		return nil, err
	}
	hash := content.ConfigHash(pods.secretKey, pods.env)
	configMap, err := r.builder.ConfigMap(app, pods.env, hash, content.OriginFor(app, actual.ConfigMap, hash))
	if err != nil {
		return nil, err
	}
	_, err = r.applyIfDiffers(ctx, app, configMap, toContent(actual.ConfigMap))
	return finalizerErr, err
}
