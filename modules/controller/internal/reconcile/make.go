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
func (r *Reconciler) makeChildren(ctx context.Context, app *workerapp.WorkerApp, found cache.Found) (conditions.State, time.Duration, error) {
	wanted, contentErr := r.content(ctx, app, found)
	if _, ok := faultOf(contentErr); ok {
		return conditions.State{}, 0, contentErr
	}
	var around sync.WaitGroup
	var moving time.Duration
	var networkErr error
	around.Go(func() {
		networkErr = guard.Call(func() (err error) {
			moving, err = r.makeNetwork(ctx, app, found)
			return err
		})
	})
	var state conditions.State
	var again time.Duration
	err := contentErr
	if err == nil {
		state, again, err = r.makeRollout(ctx, app, found, wanted)
	}
	around.Wait()
	return state, sooner(again, moving), errors.Join(err, networkErr)
}

// sooner returns the shorter of two waits, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// wantedContent is what the pods shall see.
type wantedContent struct {
	env       map[string]string
	reserved  map[string][]byte
	secretKey string
	// lookedUp: from the database, for something may have changed.
	lookedUp bool
}

// content returns what the pods shall see, from the cluster where that can be relied on, else from the database.
func (r *Reconciler) content(ctx context.Context, app *workerapp.WorkerApp, found cache.Found) (wantedContent, error) {
	known, ok := content.Known(app, found.ConfigMap, found.Secret)
	if !ok {
		var err error
		if known, err = r.lookUp(ctx, app); err != nil {
			return wantedContent{}, err
		}
	}
	env, err := content.Environment(known.Env)
	if err != nil {
		return wantedContent{}, &fault{reason: conditions.InvalidEnvironment, message: err.Error()}
	}
	return wantedContent{
		env: env, secretKey: known.SecretKey, lookedUp: !ok,
		reserved: content.Reserved(app.Spec.OwnerID, known.SecretKey, r.builder.CombinatorNamespace),
	}, nil
}

func (r *Reconciler) lookUp(ctx context.Context, app *workerapp.WorkerApp) (rollout.Content, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	known, err := r.source.Content(ctx, app.Spec.WorkerID, app.Spec.OwnerID)
	if errors.Is(err, rollout.ErrNoOwner) {
		return known, &fault{reason: conditions.NoOwner, message: rollout.ErrNoOwner.Error()}
	}
	if err != nil {
		return known, fmt.Errorf("look up the environment: %w", err)
	}
	return known, nil
}

// makeRollout makes what the pods see and what isolates them before the Deployment that starts them.
func (r *Reconciler) makeRollout(ctx context.Context, app *workerapp.WorkerApp, found cache.Found, wanted wantedContent) (conditions.State, time.Duration, error) {
	var held *corev1.Secret
	environment := guard.Start(func() (err error) {
		held, err = r.makeEnvironment(ctx, app, found, wanted)
		return err
	})
	policy, err := r.builder.Policy(app)
	_, err = r.settle(ctx, app, policy, live(found.Policy), err)
	if err := cmp.Or(<-environment, err); err != nil {
		return conditions.State{}, 0, err
	}
	hash := content.PodHash(wanted.secretKey, wanted.env, content.Merge(held, wanted.reserved))
	idle, idleLook := r.idle(ctx, app, found.Deployment)
	if idle {
		return r.scaleToZero(ctx, app, found.Deployment, hash)
	}
	desired, err := r.builder.Deployment(app, hash, children.Replicas(app))
	if err != nil {
		return conditions.State{}, 0, err
	}
	deployment, turn := found.Deployment, r.turn(app, desired, found.Deployment)
	if turn == 0 {
		if deployment, err = r.applyDeployment(ctx, app, desired, found.Deployment); err != nil {
			return conditions.State{}, 0, err
		}
	}
	state, again := rolloutstate.Evaluate(rolloutstate.Input{
		App: app, Replicas: children.Replicas(app), Deployment: deployment, Pods: found.Pods,
		Grace: r.config.FailureGrace, Deadline: r.config.ProgressDeadline, Now: r.now(),
	})
	return state, sooner(sooner(again, turn), idleLook), nil
}

func (r *Reconciler) applyDeployment(ctx context.Context, app *workerapp.WorkerApp, desired children.Child, present *appsv1.Deployment) (*appsv1.Deployment, error) {
	applied, err := r.apply(ctx, app, desired, live(present))
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
func (r *Reconciler) makeEnvironment(ctx context.Context, app *workerapp.WorkerApp, found cache.Found, wanted wantedContent) (*corev1.Secret, error) {
	secret, err := r.builder.Secret(app, wanted.reserved)
	if err != nil {
		return nil, err
	}
	held, err := r.applySecret(ctx, app, secret, found.Secret, wanted.lookedUp)
	if err != nil {
		return nil, err
	}
	hash := content.ConfigHash(wanted.secretKey, wanted.env)
	configMap, err := r.builder.ConfigMap(app, wanted.env, hash, content.Noted(app, found.ConfigMap, hash))
	if err != nil {
		return nil, err
	}
	_, err = r.apply(ctx, app, configMap, live(found.ConfigMap))
	return held, err
}
