package cache

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/kube/drift"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// ownerKeyField is the spec field in which an earlier controller stored the owner's secret key.
const ownerKeyField = "ownerSK"

// OwnerKeyAnnotation is set on cached WorkerApps only: the stored object holds its owner's secret key, from an earlier controller
// or in kubectl's copy.
const OwnerKeyAnnotation = "console.app238.com/cache-holds-owner-key"

// strip drops unused fields before an object is cached, including secrets: the key in old WorkerApps, and kubectl's copy of the
// whole object.
func strip(object any) (any, error) {
	if pod, ok := object.(*corev1.Pod); ok {
		return stripPod(pod), nil
	}
	o, ok := object.(metav1.Object)
	if !ok {
		return object, nil
	}
	if u, ok := object.(*unstructured.Unstructured); ok && u.GetKind() == workerapp.Kind {
		stripOwnerKey(u)
		o.SetManagedFields(nil)
	} else if _, ok := object.(*corev1.Secret); ok {
		o.SetManagedFields(nil) // other managers own the user's keys
	} else {
		drift.Annotate(o)
	}
	if annotations := o.GetAnnotations(); annotations[corev1.LastAppliedConfigAnnotation] != "" {
		delete(annotations, corev1.LastAppliedConfigAnnotation)
		o.SetAnnotations(annotations)
	}
	return object, nil
}

// stripOwnerKey replaces the owner's secret key by OwnerKeyAnnotation. Listed objects are transformed twice.
func stripOwnerKey(u *unstructured.Unstructured) {
	annotations := u.GetAnnotations()
	_, hasKey, err := unstructured.NestedFieldNoCopy(u.Object, "spec", ownerKeyField)
	if err != nil || !hasKey && !strings.Contains(annotations[corev1.LastAppliedConfigAnnotation], ownerKeyField) {
		return
	}
	unstructured.RemoveNestedField(u.Object, "spec", ownerKeyField)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[OwnerKeyAnnotation] = "true"
	u.SetAnnotations(annotations)
}

// stripPod returns a pod with only the fields that rollouts depend on.
func stripPod(pod *corev1.Pod) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			Labels: pod.Labels, Annotations: map[string]string{
				children.TemplateAnnotation: pod.Annotations[children.TemplateAnnotation],
			},
			CreationTimestamp: pod.CreationTimestamp, DeletionTimestamp: pod.DeletionTimestamp,
		},
		Status: corev1.PodStatus{
			Phase: pod.Status.Phase, Reason: pod.Status.Reason, Message: pod.Status.Message, Conditions: pod.Status.Conditions,
			InitContainerStatuses: pod.Status.InitContainerStatuses, ContainerStatuses: pod.Status.ContainerStatuses,
		},
	}
}
