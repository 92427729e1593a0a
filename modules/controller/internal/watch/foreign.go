package watch

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"app238.com/inner/app/kube"
)

// ForeignAnnotation is put on Deployments in the cache, and nowhere else, whose spec holds fields that somebody else
// added, like a container: server-side apply leaves those alone.
const ForeignAnnotation = "console.app238.com/cache-foreign-fields"

// restartPath is what `kubectl rollout restart` sets: that an operator restarted the pods is no drift, and to take it
// back would restart them again.
var restartPath = fieldpath.MakePathOrDie("spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")

// markForeign notes on a Deployment that arrives whether others own fields of its spec that Inner did not apply. That
// can be told from the managed fields alone, which are not kept.
func markForeign(d *appsv1.Deployment) {
	if len(d.ManagedFields) == 0 {
		return // it came by here before: what is listed does so twice
	}
	delete(d.Annotations, ForeignAnnotation)
	foreign := fieldpath.NewSet()
	for _, entry := range d.ManagedFields {
		if entry.Manager != kube.FieldManager && entry.Subresource == "" {
			foreign = foreign.Union(specFields(entry))
		}
	}
	if foreign.Empty() {
		return
	}
	for _, entry := range d.ManagedFields {
		if entry.Manager == kube.FieldManager {
			foreign = foreign.Difference(specFields(entry))
		}
	}
	foreign = foreign.Difference(fieldpath.NewSet(restartPath))
	if foreign.Leaves().Empty() {
		return
	}
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	d.Annotations[ForeignAnnotation] = "true"
}

// specFields returns the fields of the spec that an entry tells of.
func specFields(entry metav1.ManagedFieldsEntry) *fieldpath.Set {
	all, spec := fieldpath.NewSet(), fieldpath.NewSet()
	if entry.FieldsV1 == nil || all.FromJSON(entry.FieldsV1.GetRawReader()) != nil {
		return spec
	}
	for path := range all.All() {
		if len(path) > 1 && path[0].FieldName != nil && *path[0].FieldName == "spec" {
			spec.Insert(path.Copy())
		}
	}
	return spec
}
