package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/internal/cache"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// ensureFinalizer adds the finalizer before any object is created in the ingress namespace, and removes the owner's secret key,
// which an earlier controller wrote into WorkerApps.
func (r *Reconciler) ensureFinalizer(ctx context.Context, app *workerapp.WorkerApp) error {
	hasFinalizer, hasSecret := slices.Contains(app.Finalizers, workerapp.Finalizer), app.Annotations[cache.OwnerKeyAnnotation] != ""
	if hasFinalizer && !hasSecret {
		return nil
	}
	metadata := map[string]any{"resourceVersion": app.ResourceVersion}
	patch := map[string]any{"metadata": metadata}
	if !hasFinalizer {
		metadata["finalizers"] = append(slices.Clone(app.Finalizers), workerapp.Finalizer)
	}
	if hasSecret {
		metadata["annotations"] = map[string]any{corev1.LastAppliedConfigAnnotation: nil, cache.OwnerKeyAnnotation: nil}
		patch["spec"] = map[string]any{"ownerSK": nil}
	}
	written, err := r.patchApp(ctx, app.Namespace, app.Name, patch)
	if err != nil {
		return fmt.Errorf("update the finalizer of the WorkerApp: %w", err)
	}
	app.Finalizers, app.ResourceVersion, app.Generation = written.GetFinalizers(), written.GetResourceVersion(),
		written.GetGeneration()
	return nil
}

// finalize deletes the objects in the ingress namespace of a WorkerApp that is being deleted, then removes the finalizer. The
// garbage collector deletes those in the worker namespace. The cache may be older than a WorkerApp that was deployed again under
// this name: while the API server has the old one, the objects that were read before are its own.
func (r *Reconciler) finalize(ctx context.Context, app *workerapp.WorkerApp) error {
	if !slices.Contains(app.Finalizers, workerapp.Finalizer) {
		return nil
	}
	objects, err := r.ingressObjects(ctx, app.Name)
	if err != nil {
		return err
	}
	now, err := r.clients.Get(ctx, workerapp.Resource(), app.Namespace, app.Name)
	switch {
	case kube.Absent(err):
		return nil
	case err != nil:
		return fmt.Errorf("read the WorkerApp: %w", err)
	case now.GetUID() != app.UID:
		return nil // its event follows
	}
	if err := r.deleteIngress(ctx, objects); err != nil {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(app.Finalizers), func(f string) bool { return f == workerapp.Finalizer })
	_, err = r.patchApp(ctx, app.Namespace, app.Name, map[string]any{
		"metadata": map[string]any{"resourceVersion": app.ResourceVersion, "finalizers": rest}})
	if err == nil {
		r.log.Info("WorkerApp finalized", zap.String("app", app.Name))
	}
	if err != nil {
		err = fmt.Errorf("remove the finalizer of the WorkerApp: %w", err)
	}
	return ignoreNotFound(err)
}

// cleanupOrphans deletes the objects in the ingress namespace of a WorkerApp that was deleted without the finalizer. Neither a
// cache without the WorkerApp proves that it is deleted, nor an API server that does not serve its kind at the moment.
func (r *Reconciler) cleanupOrphans(ctx context.Context, name string) error {
	r.unchanged.forget(name)
	r.migrationSteps.forget(name)
	r.restartLimiter.forget(name)
	actual := r.cache.Children(name)
	if actual.External == nil && actual.Route == nil {
		return nil
	}
	if !r.builder.Owns(actual.External, actual.Route) {
		r.log.Warn("orphan of unknown platform kept", zap.String("app", name))
		return nil
	}
	objects, err := r.ingressObjects(ctx, name)
	if err != nil {
		return err
	}
	// The cache may be older than objects of another platform, or than the deletion of these.
	if owned, err := r.owns(objects); err != nil || !owned {
		return err
	}
	_, err = r.clients.Get(ctx, workerapp.Resource(), r.builder.WorkerNamespace, name)
	if err == nil {
		return nil
	}
	if !kube.Absent(err) {
		return fmt.Errorf("read the WorkerApp: %w", err)
	}
	r.log.Info("deleting orphans of a WorkerApp", zap.String("app", name))
	return r.deleteIngress(ctx, objects)
}

// ingressObject is an object in the ingress namespace as the API server has it; its live is nil if there is none.
type ingressObject struct {
	resource schema.GroupVersionResource
	live     *unstructured.Unstructured
}

// ingressObjects reads the route and the Service of a WorkerApp in the ingress namespace.
func (r *Reconciler) ingressObjects(ctx context.Context, app string) ([]ingressObject, error) {
	objects := []ingressObject{{resource: children.Routes()}, {resource: children.Services()}}
	for i, name := range []string{app, workerapp.ExternalName(app)} {
		var err error
		objects[i].live, err = r.clients.Find(ctx, objects[i].resource, r.builder.IngressNamespace, name)
		if err != nil { // also where the kind is not served: its objects may come back with it
			return nil, fmt.Errorf("read %s %s: %w", objects[i].resource.Resource, name, err)
		}
	}
	return objects, nil
}

// owns reports whether this platform created the objects that ingressObjects returned.
func (r *Reconciler) owns(objects []ingressObject) (bool, error) {
	route, live := objects[0].live, objects[1].live
	if live == nil {
		return r.builder.Owns(nil, route), nil
	}
	external := &corev1.Service{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, external); err != nil {
		return false, fmt.Errorf("read the Service of the route: %w", err)
	}
	return r.builder.Owns(external, route), nil
}

// deleteIngress deletes objects, the route first.
func (r *Reconciler) deleteIngress(ctx context.Context, objects []ingressObject) error {
	for _, o := range objects {
		if o.live == nil {
			continue
		}
		if err := r.clients.Delete(ctx, o.resource, o.live.GetNamespace(), o.live.GetName(), o.live.GetUID()); err != nil {
			return fmt.Errorf("delete %s %s: %w", o.resource.Resource, o.live.GetName(), err)
		}
	}
	return nil
}

// patchApp patches a WorkerApp if it still has the resourceVersion in patch. With a server-side apply under the field manager
// that writes the spec, the next write of the spec would remove the finalizer.
func (r *Reconciler) patchApp(ctx context.Context, namespace, name string,
	patch map[string]any) (*unstructured.Unstructured, error) {
	encoded, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	written, err := r.clients.MergePatch(ctx, workerapp.Resource(), namespace, name, encoded)
	if err != nil {
		return nil, err
	}
	r.expectWrite(name, kube.Ref{Resource: workerapp.Resource(), Namespace: namespace, Name: name}, written)
	return written, nil
}
