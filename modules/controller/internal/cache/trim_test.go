package cache

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/app/kube"
	"app238.com/inner/app/kube/drift"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// trimTwice trims an object as often as the informers do with a listed one.
func trimTwice(t *testing.T, c *Cache, object any) any {
	t.Helper()
	first, err := c.trim(object)
	require.NoError(t, err)
	again, err := c.trim(first)
	require.NoError(t, err)
	require.Equal(t, first, again)
	return again
}

func TestTrimDropsSecretsAndManagedFields(t *testing.T) {
	t.Parallel()
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "console.app238.com/v1", "kind": workerapp.Kind,
		"spec": map[string]any{"ownerSK": "sk_marker", "image": "i"}}}
	u.SetName("n")
	u.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "x"}})
	u.SetAnnotations(map[string]string{corev1.LastAppliedConfigAnnotation: "sk_marker", "keep": "1"})
	require.Equal(t, &app{WorkerApp: workerapp.WorkerApp{
		TypeMeta:   metav1.TypeMeta{APIVersion: "console.app238.com/v1", Kind: workerapp.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: "n", Annotations: map[string]string{"keep": "1", OwnerKeyAnnotation: "true"}},
		Spec:       workerapp.Spec{Image: "i"},
	}}, trimTwice(t, &Cache{}, u))

	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{}}},
		Data: map[string]string{"A": "1"}}
	require.Equal(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{drift.Annotation: "unmanaged"}},
		Data: map[string]string{"A": "1"}}, trimTwice(t, &Cache{}, configMap))

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{}}}}
	require.Equal(t, &corev1.Secret{}, trimTwice(t, &Cache{}, secret), "other managers own the user's keys")
}

func TestTrimKeepsErrorOfMalformedApp(t *testing.T) {
	t.Parallel()
	u := &unstructured.Unstructured{Object: map[string]any{"kind": workerapp.Kind, "spec": map[string]any{"image": int64(1)}}}
	kept, ok := trimTwice(t, &Cache{}, u).(*app)
	require.True(t, ok)
	require.EqualError(t, kept.malformed, "spec.image: must be a string")
}

func TestTrimKeepsWhatRolloutsReadOfPods(t *testing.T) {
	t.Parallel()
	waiting := &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off"}
	ended := &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "text", ContainerID: "containerd://c"}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u", ResourceVersion: "1",
			Labels:      map[string]string{"app": "a", "other": "b"},
			Annotations: map[string]string{children.TemplateAnnotation: "t", "cni": "much"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Env: []corev1.EnvVar{{Name: "A", Value: "marker"}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1", Message: "m",
			ContainerStatuses: []corev1.ContainerStatus{
				{Name: "c", Image: "i", RestartCount: 2, State: corev1.ContainerState{Waiting: waiting},
					LastTerminationState: corev1.ContainerState{Terminated: ended}},
				{Name: "d", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}},
			},
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "r", Message: "m", LastTransitionTime: metav1.Now()},
				{Type: corev1.PodInitialized, Status: corev1.ConditionTrue},
			}},
	}
	require.Equal(t, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u", ResourceVersion: "1", Labels: map[string]string{"app": "a"},
			Annotations: map[string]string{children.TemplateAnnotation: "t"}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Message: "m",
			ContainerStatuses: []corev1.ContainerStatus{
				{Name: "c", RestartCount: 2, State: corev1.ContainerState{Waiting: waiting}, LastTerminationState: corev1.ContainerState{
					Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "text"}}},
				{Name: "d", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
			},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "r", Message: "m"}}},
	}, trimTwice(t, &Cache{}, pod))
}

// deployment returns the Deployment of a worker as the API server returns it.
func deployment(t *testing.T, name string) *appsv1.Deployment {
	t.Helper()
	security := &corev1.SecurityContext{AllowPrivilegeEscalation: new(bool)}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 3, Labels: map[string]string{"app": name},
			Annotations: map[string]string{drift.HashAnnotation: "h"}},
		Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(bool)},
			Containers: []corev1.Container{{Name: name, Image: name, SecurityContext: security,
				LivenessProbe: &corev1.Probe{PeriodSeconds: 3},
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}},
		}}},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 3, Replicas: 1, ReadyReplicas: 1, UpdatedReplicas: 1, AvailableReplicas: 1,
			UnavailableReplicas: 1, Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "r", Message: "m", LastUpdateTime: metav1.Now()},
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue},
			}},
	}
}

func TestTrimKeepsSpecOfDeployments(t *testing.T) {
	t.Parallel()
	trimmed, ok := trimTwice(t, &Cache{}, deployment(t, "a")).(*appsv1.Deployment)
	require.True(t, ok)
	expected := deployment(t, "a")
	expected.Annotations[drift.Annotation] = "unmanaged"
	expected.Status.UnavailableReplicas = 0
	expected.Status.Conditions = []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "r", Message: "m"},
	}
	require.Equal(t, expected, trimmed)
}

func TestEqualPartsOfObjectsAreShared(t *testing.T) {
	t.Parallel()
	c := &Cache{}
	first, ok := trimTwice(t, c, deployment(t, "a")).(*appsv1.Deployment)
	require.True(t, ok)
	second, ok := trimTwice(t, c, deployment(t, "b")).(*appsv1.Deployment)
	require.True(t, ok)
	a, b := first.Spec.Template.Spec, second.Spec.Template.Spec
	require.Same(t, a.SecurityContext, b.SecurityContext)
	require.Same(t, a.Containers[0].SecurityContext, b.Containers[0].SecurityContext)
	require.Same(t, a.Containers[0].LivenessProbe, b.Containers[0].LivenessProbe)
	require.Equal(t, "b", b.Containers[0].Image)

	other := deployment(t, "c")
	other.Spec.Template.Spec.Containers[0].LivenessProbe.PeriodSeconds = 4
	third, ok := trimTwice(t, c, other).(*appsv1.Deployment)
	require.True(t, ok)
	require.Equal(t, int32(4), third.Spec.Template.Spec.Containers[0].LivenessProbe.PeriodSeconds)

	policy := func(name string) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Egress:      []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{{}}}},
		}}
	}
	p, ok := trimTwice(t, c, policy("a")).(*networkingv1.NetworkPolicy)
	require.True(t, ok)
	q, ok := trimTwice(t, c, policy("b")).(*networkingv1.NetworkPolicy)
	require.True(t, ok)
	require.Same(t, &p.Spec.Egress[0], &q.Spec.Egress[0])
	require.Equal(t, "b", q.Spec.PodSelector.MatchLabels["app"])
}

func TestSharedPartsAreBounded(t *testing.T) {
	t.Parallel()
	var s parts
	for i := range maxShared + 2 {
		share(&s, &corev1.Probe{PeriodSeconds: int32(i)})
	}
	require.Len(t, s.byContent, 2)
}

func TestTrimPassesOtherTypesThrough(t *testing.T) {
	t.Parallel()
	tombstone := cache.DeletedFinalStateUnknown{Key: "n/x"}
	require.Equal(t, tombstone, trimTwice(t, &Cache{}, tombstone))
}

func TestChangeWithoutReportIsPending(t *testing.T) {
	t.Parallel()
	ref := kube.Ref{Resource: workerapp.Resource(), Namespace: "n", Name: "a"}
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{}, &unstructured.Unstructured{}, 0, cache.Indexers{})
	c := &Cache{informers: map[informerKey]cache.SharedIndexInformer{{ref.Resource, ref.Namespace}: informer}}
	c.namespaces.Worker = ref.Namespace
	require.False(t, c.HasPendingChange("a"), "there is none")
	for name, test := range map[string]struct {
		change  func(*app)
		pending bool
	}{
		"reported":   {func(*app) {}, false},
		"generation": {func(a *app) { a.Generation = 3 }, true},
		"task":       {func(a *app) { a.Annotations = map[string]string{workerapp.TaskAnnotation: "7"} }, true},
		"deletion":   {func(a *app) { a.DeletionTimestamp = new(metav1.Now()) }, true},
	} {
		kept := &app{WorkerApp: workerapp.WorkerApp{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "n", Generation: 2},
			Status: workerapp.Status{ObservedGeneration: 2}}}
		test.change(kept)
		require.NoError(t, informer.GetStore().Add(kept))
		require.Equal(t, test.pending, c.HasPendingChange("a"), name)
	}
}
