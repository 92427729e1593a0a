package reconcile

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"app238.com/inner/modules/controller/internal/cache"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/internal/content"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

// podContent is the desired environment of the pods.
type podContent struct {
	env       map[string]string
	reserved  map[string][]byte
	secretKey string
	// fromDatabase means that it was read from the database, since something may have changed.
	fromDatabase bool
}

// desiredContent returns the desired environment of the pods: from the cluster if that is reliable, else from the database.
func (r *Reconciler) desiredContent(ctx context.Context, app *workerapp.WorkerApp, actual cache.Actual) (podContent, error) {
	source, ok := content.Known(app, actual.ConfigMap, actual.Secret)
	if !ok {
		var err error
		if source, err = r.readContent(ctx, app); err != nil {
			return podContent{}, err
		}
	}
	env, err := content.Environment(source.Env)
	if err != nil {
		return podContent{}, &stalledError{reason: conditions.InvalidEnvironment, message: err.Error()}
	}
	return podContent{
		env: env, secretKey: source.SecretKey, fromDatabase: !ok,
		reserved: content.Reserved(app.Spec.OwnerID, source.SecretKey, r.builder.CombinatorNamespace),
	}, nil
}

func (r *Reconciler) readContent(ctx context.Context, app *workerapp.WorkerApp) (rollout.Content, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	source, err := r.source.Content(ctx, app.Spec.WorkerID, app.Spec.OwnerID)
	if errors.Is(err, rollout.ErrNoOwner) {
		return source, &stalledError{reason: conditions.NoOwner, message: rollout.ErrNoOwner.Error()}
	}
	if err != nil {
		return source, fmt.Errorf("read the environment: %w", err)
	}
	return source, nil
}

// reconcileEnvironment applies the Secret before the ConfigMap, which has the task of the content in its annotations. It returns
// the Secret, including the user's keys.
func (r *Reconciler) reconcileEnvironment(ctx context.Context, app *workerapp.WorkerApp, actual cache.Actual,
	pods podContent) (*corev1.Secret, error) {
	desired, err := r.builder.Secret(app, pods.reserved)
	if err != nil {
		return nil, err
	}
	secret, err := r.applySecret(ctx, app, desired, actual.Secret, pods.fromDatabase)
	if err != nil {
		return nil, err
	}
	hash := content.ConfigHash(pods.secretKey, pods.env)
	configMap, err := r.builder.ConfigMap(app, pods.env, hash, content.OriginFor(app, actual.ConfigMap, hash))
	if err != nil {
		return nil, err
	}
	_, err = r.applyIfDiffers(ctx, app, configMap, toContent(actual.ConfigMap))
	return secret, err
}

// applySecret applies the reserved keys if they differ. It returns the Secret with the user's keys: the cached one, or one from
// the API server if fresh is set.
func (r *Reconciler) applySecret(ctx context.Context, app *workerapp.WorkerApp, c children.Child, cached *corev1.Secret,
	fresh bool) (*corev1.Secret, error) {
	live, err := r.applyIfDiffers(ctx, app, c, toContent(cached))
	if err != nil || !fresh {
		return cached, err
	}
	return r.freshSecret(ctx, app, c, cached, live)
}

// freshSecret returns the Secret as the API server has it; live is the result of the apply. The cache may not show a write to the
// Secret right before the WorkerApp's task yet, and a rollout must not complete with pods that lack it.
func (r *Reconciler) freshSecret(ctx context.Context, app *workerapp.WorkerApp, c children.Child, cached *corev1.Secret,
	live map[string]any) (*corev1.Secret, error) {
	fresh := &unstructured.Unstructured{Object: live}
	if cached != nil && fresh.GetResourceVersion() == cached.ResourceVersion { // nothing was applied
		var err error
		if fresh, err = r.clients.Get(ctx, c.Resource, c.Object.GetNamespace(), c.Object.GetName()); err != nil {
			return nil, fmt.Errorf("read the Secret: %w", err)
		}
		if fresh.GetResourceVersion() != cached.ResourceVersion {
			r.expectWrite(app.Name, ref(c), fresh) // the next reconcile waits until the cache shows it
		}
	}
	secret := &corev1.Secret{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fresh.Object, secret); err != nil {
		return nil, fmt.Errorf("read the Secret: %w", err)
	}
	return secret, nil
}
