package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// restartAnnotation on a pod template is what `kubectl rollout restart` sets.
const restartAnnotation = "kubectl.kubernetes.io/restartedAt"

// dropForeignKeys removes the keys of the ConfigMap that the user's environment does not hold: pods would see them, and
// server-side apply leaves what it did not write.
func (r *Reconciler) dropForeignKeys(ctx context.Context, app *workerapp.WorkerApp, c children.Child, present map[string]any, env map[string]string) error {
	patch := map[string]any{}
	for _, field := range []string{"data", "binaryData"} {
		values, _, err := unstructured.NestedMap(present, field)
		if err != nil {
			return fmt.Errorf("read %s %s: %w", c.Object.GetKind(), c.Object.GetName(), err)
		}
		removed := map[string]any{}
		for key := range values {
			if _, wished := env[key]; !wished || field == "binaryData" {
				removed[key] = nil
			}
		}
		if len(removed) > 0 {
			patch[field] = removed
		}
	}
	if len(patch) == 0 {
		return nil
	}
	encoded, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("patch %s: %w", c.Object.GetKind(), err)
	}
	written, err := r.clients.MergePatch(ctx, c.Resource, c.Object.GetNamespace(), c.Object.GetName(), encoded)
	if err != nil {
		return refusal(c, err)
	}
	r.wrote(app.Name, ref(c), written)
	return nil
}

// dropForeignFields removes what others added to the spec, like a container: it replaces the object by the wished one with
// the live one's metadata, and forgets that anybody else owned a part of it.
func (r *Reconciler) dropForeignFields(ctx context.Context, app *workerapp.WorkerApp, c children.Child, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	next := c.Object.DeepCopy()
	next.SetLabels(merged(live.GetLabels(), c.Object.GetLabels()))
	next.SetAnnotations(merged(live.GetAnnotations(), c.Object.GetAnnotations()))
	next.SetResourceVersion(live.GetResourceVersion())
	next.SetFinalizers(live.GetFinalizers())
	var ours []metav1.ManagedFieldsEntry
	for _, entry := range live.GetManagedFields() {
		if entry.Manager == kube.FieldManager || entry.Subresource != "" {
			ours = append(ours, entry)
		}
	}
	next.SetManagedFields(ours)
	path := []string{"spec", "template", "metadata", "annotations", restartAnnotation}
	if at, found, err := unstructured.NestedString(live.Object, path...); err == nil && found {
		if err := unstructured.SetNestedField(next.Object, at, path...); err != nil {
			return nil, err
		}
	}
	r.log.Info("removing fields that somebody added", zap.String("app", app.Name), zap.String("kind", c.Object.GetKind()))
	return r.clients.Replace(ctx, c.Resource, next)
}

func merged(base, over map[string]string) map[string]string {
	all := maps.Clone(base)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, over)
	return all
}
