package cache

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
)

func onAdd(p informerKey, object any, handlers Handlers) {
	o, ok := object.(metav1.Object)
	if !ok {
		return
	}
	if p.resource == workerapp.Resource() {
		handlers.OnSpecChange(o.GetName())
		return
	}
	notify(p, o, handlers)
}

// onUpdate drops updates without a relevant change: after a failed watch, informers list everything again.
func onUpdate(p informerKey, before, after any, handlers Handlers) {
	b, bok := before.(metav1.Object)
	a, aok := after.(metav1.Object)
	switch {
	case !bok || !aok || b.GetResourceVersion() == a.GetResourceVersion():
	case p.resource == workerapp.Resource() && specChanged(b, a):
		handlers.OnSpecChange(a.GetName())
	case p.resource == pods() && podStatusEqual(before, after):
	default:
		// A changed label takes the object away from its earlier WorkerApp.
		if appOf(p, b) != appOf(p, a) {
			notify(p, b, handlers)
		}
		notify(p, a, handlers)
	}
}

func onDelete(p informerKey, object any, handlers Handlers) {
	if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	if o, ok := object.(metav1.Object); ok {
		handlers.OnDelete(appOf(p, o), kube.Ref{Resource: p.resource, Namespace: o.GetNamespace(), Name: o.GetName()},
			o.GetResourceVersion())
		notify(p, o, handlers)
	}
}

func notify(p informerKey, o metav1.Object, handlers Handlers) {
	if app := appOf(p, o); app != "" {
		handlers.OnChange(app)
	}
}

func specChanged(before, after metav1.Object) bool {
	return before.GetGeneration() != after.GetGeneration() || before.GetUID() != after.GetUID() ||
		before.GetDeletionTimestamp() != nil != (after.GetDeletionTimestamp() != nil) ||
		!maps.Equal(before.GetAnnotations(), after.GetAnnotations())
}

// podStatusEqual reports whether an update of a pod changed neither labels, annotations, deletion nor status.
func podStatusEqual(before, after any) bool {
	b, bok := before.(*corev1.Pod)
	a, aok := after.(*corev1.Pod)
	return bok && aok && maps.Equal(b.Labels, a.Labels) && maps.Equal(b.Annotations, a.Annotations) &&
		(b.DeletionTimestamp == nil) == (a.DeletionTimestamp == nil) && equality.Semantic.DeepEqual(b.Status, a.Status)
}

func appOf(p informerKey, o metav1.Object) string {
	if p.resource == workerapp.Resource() {
		return o.GetName()
	}
	return o.GetLabels()[workerapp.AppLabel]
}
