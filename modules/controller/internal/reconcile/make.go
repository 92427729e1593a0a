package reconcile

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/content"
	"app238.com/inner/modules/controller/internal/status"
	"app238.com/inner/modules/controller/internal/watch"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

// made is what the rollout's state is told from: the Deployment as it is after this reconcile.
type made struct {
	deployment *appsv1.Deployment
	template   string
}

// makeChildren brings every child to what is wished. What does not depend on the environment is made even while the database
// that tells the environment is away.
func (r *Reconciler) makeChildren(ctx context.Context, app *workerapp.WorkerApp, found watch.Found) (made, error) {
	wanted, err := r.content(ctx, app, found)
	if _, ok := faultOf(err); ok {
		return made{}, err
	}
	var result made
	if err == nil {
		result, err = r.makePods(ctx, app, found, wanted)
	}
	return result, errors.Join(err, r.makeNetwork(ctx, app, found))
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
func (r *Reconciler) content(ctx context.Context, app *workerapp.WorkerApp, found watch.Found) (wantedContent, error) {
	known, ok := content.Known(app, found.ConfigMap, found.Secret)
	if !ok {
		var err error
		if known, err = r.lookUp(ctx, app); err != nil {
			return wantedContent{}, err
		}
	}
	env, err := content.Environment(known.Env)
	if err != nil {
		return wantedContent{}, &fault{reason: status.InvalidEnvironment, message: err.Error()}
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
		return known, &fault{reason: status.NoOwner, message: rollout.ErrNoOwner.Error()}
	}
	if err != nil {
		return known, fmt.Errorf("look up the environment: %w", err)
	}
	return known, nil
}

// makePods makes what the pods see before the Deployment that starts them. The ConfigMap comes after the Secret: it notes
// the task whose content is there.
func (r *Reconciler) makePods(ctx context.Context, app *workerapp.WorkerApp, found watch.Found, wanted wantedContent) (made, error) {
	secret, err := r.builder.Secret(app, wanted.reserved)
	if err != nil {
		return made{}, err
	}
	held, err := r.applySecret(ctx, app, secret, found.Secret, wanted.lookedUp)
	if err != nil {
		return made{}, err
	}
	configMap, err := r.builder.ConfigMap(app, wanted.env, content.ConfigHash(wanted.secretKey, wanted.env))
	if err != nil {
		return made{}, err
	}
	present, err := r.apply(ctx, app, configMap, live(found.ConfigMap))
	if err != nil {
		return made{}, err
	}
	if err := r.dropForeignKeys(ctx, app, configMap, present, wanted.env); err != nil {
		return made{}, err
	}
	hash := content.PodHash(wanted.secretKey, wanted.env, content.Merge(held, wanted.reserved))
	return r.makeDeployment(ctx, app, found, hash)
}

func (r *Reconciler) makeDeployment(ctx context.Context, app *workerapp.WorkerApp, found watch.Found, contentHash string) (made, error) {
	wished, err := r.builder.Deployment(app, contentHash)
	if err != nil {
		return made{}, err
	}
	present, err := r.apply(ctx, app, wished, live(found.Deployment))
	if err != nil {
		return made{}, err
	}
	result := made{deployment: &appsv1.Deployment{}, template: children.Template(wished)}
	return result, runtime.DefaultUnstructuredConverter.FromUnstructured(present, result.deployment)
}

func (r *Reconciler) makeNetwork(ctx context.Context, app *workerapp.WorkerApp, found watch.Found) error {
	var errs []error
	one := func(c children.Child, err error, present map[string]any) {
		if err == nil {
			_, err = r.apply(ctx, app, c, present)
		}
		errs = append(errs, err)
	}
	service, err := r.builder.Service(app)
	one(service, err, live(found.Service))
	external, err := r.builder.External(app)
	one(external, err, live(found.External))
	route, err := r.builder.Route(app)
	one(route, err, live(found.Route))
	return errors.Join(errs...)
}
