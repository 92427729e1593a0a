package realnode_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"

	"app238.com/inner/test/realnode/testnode"
)

const (
	limit = 2 * time.Minute
	tick  = 100 * time.Millisecond

	workers = "worker"
	ingress = "ingress"
	image   = "localhost/web:1"
)

// fixture is the node with the image that all tests run.
type fixture struct{ *testnode.Node }

// TestNode holds the tests that one node serves.
func TestNode(t *testing.T) {
	t.Parallel()
	f := fixture{testnode.Of(t)}
	f.Image(t, "app238.com/inner/test/realnode/images/web", image)
	for name, test := range map[string]func(*testing.T, fixture){
		"DatabaseAndNames": testDatabaseAndNames,
		"Ingress":          testIngress,
		"OwnNetwork":       testOwnNetwork,
		"Policy":           testPolicy,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, f)
		})
	}
}

// deploy makes a worker that answers with those words, with a Service <name>-http, and returns when it is Ready.
func (f fixture) deploy(t *testing.T, name, words string) {
	t.Helper()
	labels := map[string]string{"app": name}
	one, root := int32(1), true
	deployments := f.Kubernetes.AppsV1().Deployments(workers)
	_, err := deployments.Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &one,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name:  "web",
					Image: image,
					Env:   []corev1.EnvVar{{Name: "WORDS", Value: words}},
					Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
					ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
						HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromString("http")},
					}},
					SecurityContext: &corev1.SecurityContext{RunAsNonRoot: &root},
				}}},
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = f.Kubernetes.CoreV1().Services(workers).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-http"},
		Spec: corev1.ServiceSpec{
			Selector: labels,
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("http")}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		now, ctx := metav1.DeleteOptions{}, context.Background()
		require.NoError(t, f.Kubernetes.CoreV1().Services(workers).Delete(ctx, name+"-http", now))
		require.NoError(t, deployments.Delete(ctx, name, now))
	})
	require.Eventually(t, func() bool {
		found, err := deployments.Get(t.Context(), name, metav1.GetOptions{})
		return err == nil && found.Status.AvailableReplicas == one
	}, limit, tick, "the worker is not Ready")
}

// pod returns the only pod of a worker.
func (f fixture) pod(t *testing.T, name string) corev1.Pod {
	t.Helper()
	found, err := f.Kubernetes.CoreV1().Pods(workers).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + name})
	require.NoError(t, err)
	require.Len(t, found.Items, 1)
	return found.Items[0]
}

// route leads <name>.example.test to the worker, as the platform does: by a name in the ingress' namespace.
func (f fixture) route(t *testing.T, name string) {
	t.Helper()
	_, err := f.Kubernetes.CoreV1().Services(ingress).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-ext"},
		Spec: corev1.ServiceSpec{
			Type:         corev1.ServiceTypeExternalName,
			ExternalName: name + "-http." + workers + ".svc.cluster.local",
			Ports:        []corev1.ServicePort{{Port: 80}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	routes := f.Dynamic.Resource(schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"})
	_, err = routes.Namespace(ingress).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "traefik.io/v1alpha1",
		"kind":       "IngressRoute",
		"metadata":   map[string]any{"name": name},
		"spec": map[string]any{
			"entryPoints": []any{"web"},
			"routes": []any{map[string]any{
				"kind":     "Rule",
				"match":    "Host(`" + name + ".example.test`)",
				"services": []any{map[string]any{"name": name + "-ext", "port": int64(80)}},
			}},
		},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
}
