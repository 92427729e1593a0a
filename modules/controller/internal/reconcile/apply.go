package reconcile

import (
	"context"
	"fmt"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/app/kube"
	"app238.com/inner/app/kube/drift"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// applyOrDelete applies c, or deletes it if it is to be absent, and reports whether there was anything to do.
func (r *Reconciler) applyOrDelete(ctx context.Context, app *workerapp.WorkerApp, c children.Child,
	live map[string]any) (changed bool, _ error) {
	switch {
	case c.Deferred:
		return false, nil
	case c.Absent:
		return appliedHash(live) != "", r.deleteOwned(ctx, app, c, live)
	}
	if !drift.Differs(c.Object.Object, live) && !isHeadless(c, live) {
		return false, nil
	}
	_, err := r.apply(ctx, app, c, live)
	return true, err
}

// deleteOwned deletes the object of c's name if Inner applied it.
func (r *Reconciler) deleteOwned(ctx context.Context, app *workerapp.WorkerApp, c children.Child, live map[string]any) error {
	if appliedHash(live) == "" {
		return nil
	}
	return r.deleteObject(ctx, app.Name, c.Resource, &unstructured.Unstructured{Object: live})
}

func (r *Reconciler) deleteObject(ctx context.Context, app string, resource schema.GroupVersionResource,
	live metav1.Object) error {
	if err := r.clients.Delete(ctx, resource, live.GetNamespace(), live.GetName(), live.GetUID()); err != nil {
		return fmt.Errorf("delete %s %s: %w", resource.Resource, live.GetName(), err)
	}
	r.expectations.ExpectDeletion(app, kube.Ref{Resource: resource, Namespace: live.GetNamespace(), Name: live.GetName()},
		r.now())
	r.written.Store(app, true)
	return nil
}

// applyIfDiffers applies c unless the live object already has the desired state. It returns the resulting object.
func (r *Reconciler) applyIfDiffers(ctx context.Context, app *workerapp.WorkerApp, c children.Child,
	live map[string]any) (map[string]any, error) {
	if !drift.Differs(c.Object.Object, live) {
		return live, nil
	}
	return r.apply(ctx, app, c, live)
}

func (r *Reconciler) apply(ctx context.Context, app *workerapp.WorkerApp, c children.Child,
	live map[string]any) (map[string]any, error) {
	written, err := r.applyOrRecreate(ctx, app, c, live)
	if err != nil {
		return nil, rejection(c, err)
	}
	r.expectWrite(app.Name, ref(c), written)
	r.recordRepair(app, c, live)
	return written.Object, nil
}

func (r *Reconciler) applyOrRecreate(ctx context.Context, app *workerapp.WorkerApp, c children.Child,
	live map[string]any) (*unstructured.Unstructured, error) {
	if drift.HasUnmanaged(live) {
		r.log.Info("unmanaged fields found", zap.String("app", app.Name), zap.String("kind", c.Object.GetKind()))
	}
	written, err := drift.Apply(ctx, r.clients, c.Resource, c.Object, live)
	seen := &unstructured.Unstructured{Object: live}
	switch {
	case err == nil && isHeadless(c, written.Object):
		seen = written
	case !apierrors.IsInvalid(err) || !c.Replaceable || live == nil:
		return written, err
	}
	// A field that must change is immutable.
	if written, err = r.clients.Recreate(ctx, c.Resource, c.Object, seen, err); err == nil {
		r.log.Info("immutable object replaced", zap.String("app", app.Name), zap.String("kind", c.Object.GetKind()))
	}
	return written, err
}

// isHeadless reports whether live is a Service that somebody created without an address, which routes need. The API server keeps
// that over an update, and refuses none.
func isHeadless(c children.Child, live map[string]any) bool {
	if c.Resource != children.Services() {
		return false
	}
	address, _, err := unstructured.NestedString(live, "spec", "clusterIP")
	return err == nil && address == corev1.ClusterIPNone
}

func (r *Reconciler) expectWrite(app string, ref kube.Ref, written *unstructured.Unstructured) {
	r.expectations.ExpectVersion(app, ref, written.GetResourceVersion(), r.now())
	r.written.Store(app, true)
}

func ref(c children.Child) kube.Ref {
	return kube.Ref{Resource: c.Resource, Namespace: c.Object.GetNamespace(), Name: c.Object.GetName()}
}

// toContent converts an object to its unstructured content; nil for none.
func toContent[T any](object *T) map[string]any {
	if object == nil {
		return nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil
	}
	return content
}

func annotation(object map[string]any, key string) string {
	value, _, err := unstructured.NestedString(object, "metadata", "annotations", key)
	if err != nil {
		return ""
	}
	return value
}

func appliedHash(object map[string]any) string { return annotation(object, children.AppliedAnnotation) }
