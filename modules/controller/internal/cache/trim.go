package cache

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
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

// app is a cached WorkerApp. A typed one needs a fifth of the memory of an unstructured one.
type app struct {
	workerapp.WorkerApp

	// malformed is the error of its conversion.
	malformed error
}

// trim keeps the fields that are read, before an object is cached. It drops secrets: the key in old WorkerApps, and kubectl's
// copy of the whole object. What it returns is never written to the cluster but for its metadata, which it keeps (drift.Apply).
func (c *Cache) trim(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Pod:
		return trimPod(o), nil
	case *corev1.Secret:
		o.SetManagedFields(nil) // other managers own the user's keys
	case *unstructured.Unstructured:
		if o.GetKind() == workerapp.Kind {
			return trimApp(o), nil
		}
		drift.Annotate(o)
	case *app:
		return o, nil
	case metav1.Object:
		drift.Annotate(o)
	}
	switch o := object.(type) {
	case *appsv1.Deployment:
		object = c.trimDeployment(o)
	case *networkingv1.NetworkPolicy:
		c.parts.sharePolicy(&o.Spec)
	}
	if o, ok := object.(metav1.Object); ok {
		dropLastApplied(o)
	}
	return object, nil
}

func dropLastApplied(o metav1.Object) {
	if annotations := o.GetAnnotations(); annotations[corev1.LastAppliedConfigAnnotation] != "" {
		delete(annotations, corev1.LastAppliedConfigAnnotation)
		o.SetAnnotations(annotations)
	}
}

// trimApp converts a WorkerApp.
func trimApp(u *unstructured.Unstructured) *app {
	u.SetManagedFields(nil)
	replaceOwnerKey(u)
	dropLastApplied(u)
	converted, err := workerapp.FromUnstructured(u)
	return &app{WorkerApp: *converted, malformed: err}
}

// replaceOwnerKey replaces the owner's secret key by OwnerKeyAnnotation.
func replaceOwnerKey(u *unstructured.Unstructured) {
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

// trimPod keeps the fields that a rollout's state depends on.
func trimPod(pod *corev1.Pod) *corev1.Pod {
	trimmed := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			Labels:            map[string]string{workerapp.AppLabel: pod.Labels[workerapp.AppLabel]},
			Annotations:       map[string]string{children.TemplateAnnotation: pod.Annotations[children.TemplateAnnotation]},
			CreationTimestamp: pod.CreationTimestamp, DeletionTimestamp: pod.DeletionTimestamp,
		},
		Status: corev1.PodStatus{
			Phase: pod.Status.Phase, Reason: pod.Status.Reason, Message: pod.Status.Message,
			InitContainerStatuses: trimContainers(pod.Status.InitContainerStatuses),
			ContainerStatuses:     trimContainers(pod.Status.ContainerStatuses),
		},
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled || c.Type == corev1.PodReady {
			trimmed.Status.Conditions = append(trimmed.Status.Conditions,
				corev1.PodCondition{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message})
		}
	}
	return trimmed
}

func trimContainers(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	var trimmed []corev1.ContainerStatus
	for _, s := range statuses {
		trimmed = append(trimmed, corev1.ContainerStatus{
			Name: s.Name, Ready: s.Ready, RestartCount: s.RestartCount, State: trimState(s.State),
			LastTerminationState: corev1.ContainerState{Terminated: trimTermination(s.LastTerminationState.Terminated)},
		})
	}
	return trimmed
}

func trimState(s corev1.ContainerState) corev1.ContainerState {
	trimmed := corev1.ContainerState{Waiting: s.Waiting, Terminated: trimTermination(s.Terminated)}
	if s.Running != nil {
		trimmed.Running = &corev1.ContainerStateRunning{}
	}
	return trimmed
}

func trimTermination(t *corev1.ContainerStateTerminated) *corev1.ContainerStateTerminated {
	if t == nil {
		return nil
	}
	return &corev1.ContainerStateTerminated{ExitCode: t.ExitCode, Reason: t.Reason, Message: t.Message}
}

// trimDeployment keeps the spec, whose missing fields are drift, with parts that are shared by equal Deployments, and the status
// that a rollout's state depends on.
func (c *Cache) trimDeployment(d *appsv1.Deployment) *appsv1.Deployment {
	trimmed := &appsv1.Deployment{ObjectMeta: d.ObjectMeta, Spec: d.Spec, Status: appsv1.DeploymentStatus{
		ObservedGeneration: d.Status.ObservedGeneration, Replicas: d.Status.Replicas, UpdatedReplicas: d.Status.UpdatedReplicas,
		ReadyReplicas: d.Status.ReadyReplicas, AvailableReplicas: d.Status.AvailableReplicas,
	}}
	for _, condition := range d.Status.Conditions {
		if condition.Type == appsv1.DeploymentProgressing || condition.Type == appsv1.DeploymentReplicaFailure {
			trimmed.Status.Conditions = append(trimmed.Status.Conditions, appsv1.DeploymentCondition{
				Type: condition.Type, Status: condition.Status, Reason: condition.Reason, Message: condition.Message,
			})
		}
	}
	c.parts.shareTemplate(&trimmed.Spec.Template.Spec)
	return trimmed
}
