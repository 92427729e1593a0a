// Package drift detects changes by others to objects that Inner applied, and reverts them.
//
// Server-side apply keeps fields that it does not own, and the API server and admission webhooks set defaults. Only the managed
// fields tell the two apart. They are too large for a cache, so Annotate reads them when an object arrives.
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
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"app238.com/inner/app/kube"
)

// Annotation is set by Annotate on cached objects only. Its value is the constant unmanaged, or the lines of absentFields.
const Annotation = "console.app238.com/cache-drift"

// unmanaged is the annotation's value for an object with fields that Inner does not own.
const unmanaged = "unmanaged"

// restartedAtPath is the field that `kubectl rollout restart` sets on a Deployment. It is no drift: reverting it would restart
// the pods again.
func restartedAtPath() []string {
	return []string{"spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt"}
}

// Annotate replaces the managed fields of an object that enters a cache by Annotation: whether other managers own a field that
// Inner does not own, since they added or changed it, or else which fields Inner owns that the object lacks, since a webhook or
// the API server removed them. Metadata and status do not count.
func Annotate(o metav1.Object) {
	annotations := maps.Clone(o.GetAnnotations())
	if _, annotated := annotations[Annotation]; annotated && len(o.GetManagedFields()) == 0 {
		return // already annotated: listed objects are transformed twice
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	ours, other := owned(o.GetManagedFields())
	if annotations[Annotation] = unmanaged; !other {
		annotations[Annotation] = absentFields(o, ours)
	}
	o.SetAnnotations(annotations)
	o.SetManagedFields(nil)
}

// owned returns the fields that Inner owns by server-side apply, and whether another manager owns any other field or Inner never
// applied the object. Fields that Inner wrote by other operations count as other: an apply would not remove them. Of an empty
// ConfigMap Inner owns metadata only.
func owned(entries []metav1.ManagedFieldsEntry) (ours *fieldpath.Set, other bool) {
	ours = fieldpath.NewSet()
	theirs, isApplied := fieldpath.NewSet(), false
	for _, entry := range entries {
		switch {
		case isApplyByInner(entry):
			ours, isApplied = ours.Union(fields(entry)), true
		case entry.Subresource != "status":
			theirs = theirs.Union(fields(entry))
		}
	}
	operators := fieldpath.NewSet(fieldpath.MakePathOrDie(toAny(restartedAtPath())...))
	return ours, !isApplied || !theirs.Leaves().Difference(ours).Difference(operators).Empty()
}

// absentFields returns the paths, one a line, of the fields that Inner owns and the object lacks.
func absentFields(o metav1.Object, ours *fieldpath.Set) string {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return unmanaged
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
				if contains(same, one) {
					value = one
				}
			}
		default:
			return true // Inner applies no lists of type set
		}
	}
	return value != nil
}

func isApplyByInner(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == kube.FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == ""
}

// fields returns the fields of an entry outside of metadata and status.
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

func toAny(names []string) []any {
	all := make([]any, len(names))
	for i, name := range names {
		all[i] = name
	}
	return all
}

// HasUnmanaged reports whether a cached object has fields that others added or changed.
func HasUnmanaged(cached map[string]any) bool {
	state, _ := annotation(cached)
	return state == unmanaged
}

func annotation(cached map[string]any) (state string, annotated bool) {
	state, annotated, err := unstructured.NestedString(cached, "metadata", "annotations", Annotation)
	return state, annotated && err == nil
}

// Apply applies desired over an object, cached as Annotate left it, and removes unmanaged fields, also those that make the API
// server reject desired. An object without Annotation, like a Secret, keeps its other fields. If the error is Invalid, the API
// server rejects desired over the object as it is now, not over an older state.
func Apply(ctx context.Context, clients *kube.Clients, resource schema.GroupVersionResource, desired *unstructured.Unstructured,
	cached map[string]any) (*unstructured.Unstructured, error) {
	written, rejected := clients.Apply(ctx, resource, desired)
	state, annotated := annotation(cached)
	live := written
	switch {
	case rejected == nil && state == unmanaged:
	case apierrors.IsInvalid(rejected) && annotated:
		live = (&unstructured.Unstructured{Object: cached}).DeepCopy()
		unstructured.RemoveNestedField(live.Object, "metadata", "annotations", Annotation)
	default:
		return written, rejected
	}
	// Conflicts, also with the object's own controller, are retried here: after the apply, the cache would no longer show the
	// drift.
	err := kube.RetryConflicts(ctx, func() (err error) {
		if live == nil {
			if live, rejected, err = applyOrRead(ctx, clients, resource, desired); err != nil {
				return err
			}
		}
		written, err = replaceWithoutUnmanaged(ctx, clients, resource, desired, live)
		live = nil
		return err
	})
	switch {
	case apierrors.IsNotFound(err): // deleted meanwhile
		return clients.Apply(ctx, resource, desired)
	case apierrors.IsInvalid(err) && rejected != nil:
		err = rejected
	}
	return written, err
}

// applyOrRead returns the object after an apply or, if the API server rejects that, as it is, with the rejection.
func applyOrRead(ctx context.Context, clients *kube.Clients, resource schema.GroupVersionResource,
	desired *unstructured.Unstructured) (live *unstructured.Unstructured, rejected, _ error) {
	live, err := clients.Apply(ctx, resource, desired)
	if !apierrors.IsInvalid(err) {
		return live, nil, err
	}
	live, readErr := clients.Find(ctx, resource, desired.GetNamespace(), desired.GetName())
	if readErr == nil && live == nil {
		readErr = apierrors.NewNotFound(resource.GroupResource(), desired.GetName())
	}
	return live, err, readErr
}

// replaceWithoutUnmanaged updates live to desired with live's metadata, and drops the other managers' entries of its managed
// fields: a kept entry would still own defaulted fields and count as drift again.
func replaceWithoutUnmanaged(ctx context.Context, clients *kube.Clients, resource schema.GroupVersionResource, desired,
	live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	next := desired.DeepCopy()
	next.SetLabels(merged(live.GetLabels(), desired.GetLabels()))
	next.SetAnnotations(merged(live.GetAnnotations(), desired.GetAnnotations()))
	next.SetResourceVersion(live.GetResourceVersion())
	next.SetFinalizers(live.GetFinalizers())
	var ours []metav1.ManagedFieldsEntry
	for _, entry := range live.GetManagedFields() {
		if isApplyByInner(entry) || entry.Subresource != "" {
			ours = append(ours, entry)
		}
	}
	next.SetManagedFields(ours)
	if at, found, err := unstructured.NestedString(live.Object, restartedAtPath()...); err == nil && found {
		if err := unstructured.SetNestedField(next.Object, at, restartedAtPath()...); err != nil {
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
