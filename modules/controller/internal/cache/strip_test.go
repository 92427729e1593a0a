package cache

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/app/kube/drift"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

func TestStripDropsSecretsAndManagedFields(t *testing.T) {
	t.Parallel()
	u := &unstructured.Unstructured{Object: map[string]any{"kind": workerapp.Kind,
		"spec": map[string]any{"ownerSK": "sk_marker", "image": "i"}}}
	u.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "x"}})
	u.SetAnnotations(map[string]string{corev1.LastAppliedConfigAnnotation: "sk_marker", "keep": "1"})
	var kept any
	var err error
	for range 2 { // listed objects are transformed twice
		kept, err = strip(u)
		require.NoError(t, err)
	}
	require.Equal(t, &unstructured.Unstructured{Object: map[string]any{
		"kind":     workerapp.Kind,
		"metadata": map[string]any{"annotations": map[string]any{"keep": "1", OwnerKeyAnnotation: "true"}},
		"spec":     map[string]any{"image": "i"},
	}}, kept)

	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{}}},
		Data: map[string]string{"A": "1"}}
	kept, err = strip(configMap)
	require.NoError(t, err)
	require.Equal(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{drift.Annotation: "unmanaged"}},
		Data: map[string]string{"A": "1"}}, kept)

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{}}}}
	kept, err = strip(secret)
	require.NoError(t, err)
	require.Equal(t, &corev1.Secret{}, kept, "other managers own the user's keys")
}

func TestStripKeepsPodStatus(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u", ResourceVersion: "1", Labels: map[string]string{"app": "a"},
			Annotations: map[string]string{children.TemplateAnnotation: "t", "cni": "much"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Env: []corev1.EnvVar{{Name: "A", Value: "marker"}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1",
			ContainerStatuses: []corev1.ContainerStatus{{Name: "c"}}, Conditions: []corev1.PodCondition{{Type: corev1.PodReady}}},
	}
	first, err := strip(pod)
	require.NoError(t, err)
	again, err := strip(first)
	require.NoError(t, err)
	require.Equal(t, first, again, "stripping twice changes nothing")
	require.Equal(t, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", UID: "u", ResourceVersion: "1", Labels: map[string]string{"app": "a"},
			Annotations: map[string]string{children.TemplateAnnotation: "t"}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning,
			ContainerStatuses: []corev1.ContainerStatus{{Name: "c"}}, Conditions: []corev1.PodCondition{{Type: corev1.PodReady}}},
	}, first)
}

func TestStripPassesOtherTypesThrough(t *testing.T) {
	t.Parallel()
	tombstone := cache.DeletedFinalStateUnknown{Key: "n/x"}
	kept, err := strip(tombstone)
	require.NoError(t, err)
	require.Equal(t, tombstone, kept)
}
