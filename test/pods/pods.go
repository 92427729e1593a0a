// Package pods creates pods without a node, whose status the test writes in place of a kubelet.
package pods

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// NewCombinator creates a Running pod of Combinator with an address, after change has modified it.
func NewCombinator(t testing.TB, client kubernetes.Interface, namespace, name, address string,
	change ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"app": "combinator"}},
		Spec: corev1.PodSpec{SchedulerName: "none",
			Containers: []corev1.Container{{Name: "c", Image: "registry.test/combinator:1"}}},
	}
	for _, f := range change {
		f(pod)
	}
	made, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	return SetPhase(t, client, made, corev1.PodRunning, address)
}

// SetPhase writes phase and address of a pod.
func SetPhase(t testing.TB, client kubernetes.Interface, pod *corev1.Pod, phase corev1.PodPhase, address string) *corev1.Pod {
	t.Helper()
	pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = phase, address, []corev1.PodIP{{IP: address}}
	changed, err := client.CoreV1().Pods(pod.Namespace).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(t, err)
	return changed
}
