package reconcile

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// applySecret writes the reserved keys where they are not as wished. It returns the Secret with the user's keys: the cached
// one, or a fresh one where something may have changed.
func (r *Reconciler) applySecret(ctx context.Context, app *workerapp.WorkerApp, c children.Child, cached *corev1.Secret, fresh bool) (*corev1.Secret, error) {
	live, err := r.applyIfDiffers(ctx, app, c, toContent(cached))
	if err != nil || !fresh {
		return cached, err
	}
	return r.freshSecret(ctx, app, c, cached, live)
}

// freshSecret returns the Secret as the cluster has it; present is what the apply returned. The cache may not show yet what
// was written to the Secret right before the task that the WorkerApp carries, and a rollout must not count as complete
// whose pods do not see it.
func (r *Reconciler) freshSecret(ctx context.Context, app *workerapp.WorkerApp, c children.Child, cached *corev1.Secret, live map[string]any) (*corev1.Secret, error) {
	fresh := &unstructured.Unstructured{Object: live}
	if cached != nil && fresh.GetResourceVersion() == cached.ResourceVersion { // nothing was applied
		var err error
		if fresh, err = r.clients.Get(ctx, c.Resource, c.Object.GetNamespace(), c.Object.GetName()); err != nil {
			return nil, fmt.Errorf("read the Secret: %w", err)
		}
		if fresh.GetResourceVersion() != cached.ResourceVersion {
			r.expectWrite(app.Name, ref(c), fresh) // the next look waits until the cache shows it too
		}
	}
	secret := &corev1.Secret{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fresh.Object, secret); err != nil {
		return nil, fmt.Errorf("read the Secret: %w", err)
	}
	return secret, nil
}
