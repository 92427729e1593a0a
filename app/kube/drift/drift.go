// Package drift tells what others did to an object that Inner made, and takes it away.
//
// Server-side apply leaves alone what it did not write, and the API server and admission webhooks fill in what nobody wrote. Only
// the managed fields tell the one from the other, and no cache keeps them: Note reads them when an object arrives.
package drift

import (
	"context"
	"maps"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"app238.com/inner/app/kube"
)

// Annotation is put on objects in a cache by Note, and nowhere else.
const Annotation = "console.app238.com/cache-drift"

// foreign is what Note says of an object with fields that are not Inner's.
const foreign = "foreign"

// restarted is what `kubectl rollout restart` sets on a Deployment's template: that an operator restarted the pods is no drift, and
// to take it back would restart them again.
func restarted() []string {
	return []string{"spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt"}
}

// Note drops the managed fields of an object that arrives in a cache, and notes whether others own any field that Inner does not: one
// that they added, or changed. Labels, annotations and a status do not count. Else it notes what Inner owns and the object does not
// have: a webhook took that out of what Inner wrote, or the API server leaves it out.
func Note(o metav1.Object) {
	annotations := maps.Clone(o.GetAnnotations())
	if _, noted := annotations[Annotation]; noted && len(o.GetManagedFields()) == 0 {
		return // it came by here before: what is listed does so twice
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	ours, others := owned(o.GetManagedFields())
	if annotations[Annotation] = foreign; !others {
		annotations[Annotation] = taken(o, ours)
	}
	o.SetAnnotations(annotations)
	o.SetManagedFields(nil)
}

// owned returns what Inner owns by having applied it, and whether anybody owns what is not among that, or Inner never applied it. What it
// wrote otherwise would stay when it is no longer desired. Of an empty ConfigMap Inner owns nothing but metadata.
func owned(entries []metav1.ManagedFieldsEntry) (ours *fieldpath.Set, others bool) {
	ours = fieldpath.NewSet()
	theirs, isApplied := fieldpath.NewSet(), false
	for _, entry := range entries {
		switch {
		case applied(entry):
			ours, isApplied = ours.Union(fields(entry)), true
		case entry.Subresource != "status":
			theirs = theirs.Union(fields(entry))
		}
	}
	operators := fieldpath.NewSet(fieldpath.MakePathOrDie(anys(restarted())...))
	return ours, !isApplied || !theirs.Leaves().Difference(ours).Difference(operators).Empty()
}

// taken returns the paths of what Inner owns and the object does not have.
func taken(o metav1.Object, ours *fieldpath.Set) string {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return foreign
	}
	var paths []string
	for path := range ours.Leaves().All() {
		if !has(content, path) {
			paths = append(paths, path.String())
		}
	}
	return strings.Join(paths, "\n")
}

func has(value any, path fieldpath.Path) bool {
	for _, element := range path {
		switch {
		case element.FieldName != nil:
			fields, _ := value.(map[string]any)
			value = fields[*element.FieldName]
		case element.Key != nil:
			same := map[string]any{}
			for _, key := range *element.Key {
				same[key.Name] = key.Value.Unstructured()
			}
			list, _ := value.([]any)
			value = nil
			for _, one := range list {
				if holds(same, one) {
					value = one
				}
			}
		default:
			return true // Inner applies no sets
		}
	}
	return value != nil
}

func applied(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == kube.FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == ""
}

// fields returns the fields that an entry tells of, but those of metadata and status.
func fields(entry metav1.ManagedFieldsEntry) *fieldpath.Set {
	all, some := fieldpath.NewSet(), fieldpath.NewSet()
	if entry.FieldsV1 == nil || all.FromJSON(entry.FieldsV1.GetRawReader()) != nil {
		return some
	}
	for path := range all.All() {
		if root := path[0].FieldName; root != nil && *root != "metadata" && *root != "status" {
			some.Insert(path.Copy())
		}
	}
	return some
}

func anys(names []string) []any {
	all := make([]any, len(names))
	for i, name := range names {
		all[i] = name
	}
	return all
}

// Foreign tells whether Note found that a cached object holds what others added or changed.
func Foreign(cached map[string]any) bool {
	said, _ := note(cached)
	return said == foreign
}

func note(cached map[string]any) (said string, noted bool) {
	said, noted, err := unstructured.NestedString(cached, "metadata", "annotations", Annotation)
	return said, noted && err == nil
}

// Apply writes desired over an object, cached as Note left it, and removes what others added. It also does where that keeps the
// object from becoming the desired one. An object that Note never saw, like a Secret, holds what is not for Inner to remove.
func Apply(ctx context.Context, clients *kube.Clients, resource schema.GroupVersionResource, desired *unstructured.Unstructured, cached map[string]any) (*unstructured.Unstructured, error) {
	written, err := clients.Apply(ctx, resource, desired)
	said, noted := note(cached)
	switch {
	case err == nil && said == foreign:
		return removeForeign(ctx, clients, resource, desired, written)
	case apierrors.IsInvalid(err) && noted:
		live := (&unstructured.Unstructured{Object: cached}).DeepCopy()
		unstructured.RemoveNestedField(live.Object, "metadata", "annotations", Annotation)
		if live, otherErr := remove(ctx, clients, resource, desired, live); !apierrors.IsInvalid(otherErr) {
			return live, otherErr
		}
	}
	return written, err
}

// removeForeign is remove for an object that was just applied, whose own controller may write to it meanwhile. Who gave up then
// would not find again what the apply has put right.
func removeForeign(ctx context.Context, clients *kube.Clients, resource schema.GroupVersionResource, desired, applied *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	written := applied
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		if written == nil { // it was written to since
			if applied, err = clients.Apply(ctx, resource, desired); err != nil {
				return err
			}
		}
		written, err = remove(ctx, clients, resource, desired, applied)
		return err
	})
	return written, err
}

// remove replaces live, an object as the API server has it, with its managed fields if they are known, by the desired one with the live one's metadata, and has nobody else
// own a part of it. An entry that was kept would still own fields that are there by default, and be found again each time.
func remove(ctx context.Context, clients *kube.Clients, resource schema.GroupVersionResource, desired, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	next := desired.DeepCopy()
	next.SetLabels(merged(live.GetLabels(), desired.GetLabels()))
	next.SetAnnotations(merged(live.GetAnnotations(), desired.GetAnnotations()))
	next.SetResourceVersion(live.GetResourceVersion())
	next.SetFinalizers(live.GetFinalizers())
	var ours []metav1.ManagedFieldsEntry
	for _, entry := range live.GetManagedFields() {
		if applied(entry) || entry.Subresource != "" {
			ours = append(ours, entry)
		}
	}
	next.SetManagedFields(ours)
	if at, found, err := unstructured.NestedString(live.Object, restarted()...); err == nil && found {
		if err := unstructured.SetNestedField(next.Object, at, restarted()...); err != nil {
			return nil, err
		}
	}
	return clients.Replace(ctx, resource, next)
}

func merged(base, over map[string]string) map[string]string {
	all := maps.Clone(base)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, over)
	return all
}
