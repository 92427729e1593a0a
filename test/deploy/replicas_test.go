package deploy_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// byName returns the objects of a folder by kind and name.
func byName(t *testing.T, path string) map[string]*unstructured.Unstructured {
	t.Helper()
	named := map[string]*unstructured.Unstructured{}
	for _, u := range objects(t, path) {
		named[u.GetKind()+"/"+u.GetName()] = u
	}
	return named
}

// read turns an object into the type of its kind.
func read[T any](t *testing.T, u *unstructured.Unstructured) T {
	t.Helper()
	var typed T
	require.NotNil(t, u)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &typed))
	return typed
}

// selects tells whether a selector finds an object's labels, and not every object.
func selects(t *testing.T, selector *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	require.NoError(t, err)
	return s.Matches(labels.Set(of)) && !s.Empty()
}

func TestNodeDrainKeepsReplicas(t *testing.T) {
	t.Parallel()
	objects := byName(t, folder+"/overlays/production")
	d := read[appsv1.Deployment](t, objects["Deployment/inner-gateway"])
	require.Equal(t, int32(2), *d.Spec.Replicas)
	require.Equal(t, intstr.FromInt32(0), *d.Spec.Strategy.RollingUpdate.MaxUnavailable)
	pods := d.Spec.Template.Labels
	budget := read[policyv1.PodDisruptionBudget](t, objects["PodDisruptionBudget/inner-gateway"])
	require.Equal(t, d.Namespace, budget.Namespace)
	require.True(t, selects(t, budget.Spec.Selector, pods))
	require.Equal(t, intstr.FromInt32(1), *budget.Spec.MaxUnavailable)
	var spread []string
	for _, constraint := range d.Spec.Template.Spec.TopologySpreadConstraints {
		require.True(t, selects(t, constraint.LabelSelector, pods))
		spread = append(spread, constraint.TopologyKey)
	}
	require.Equal(t, []string{corev1.LabelHostname, corev1.LabelTopologyZone}, spread)
}

func TestPodsAreConfined(t *testing.T) {
	t.Parallel()
	pod := read[appsv1.Deployment](t, byName(t, folder+"/overlays/production")["Deployment/inner-gateway"]).Spec.Template.Spec
	require.True(t, *pod.SecurityContext.RunAsNonRoot)
	require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
	for _, container := range append(pod.InitContainers, pod.Containers...) {
		require.False(t, *container.SecurityContext.AllowPrivilegeEscalation)
		require.True(t, *container.SecurityContext.ReadOnlyRootFilesystem)
		require.Equal(t, []corev1.Capability{"ALL"}, container.SecurityContext.Capabilities.Drop)
		require.Empty(t, container.SecurityContext.Capabilities.Add)
		require.NotZero(t, container.Resources.Requests.Cpu().MilliValue())
		require.NotZero(t, container.Resources.Requests.Memory().Value())
	}
}

func TestServiceAndServiceMonitorSelectPods(t *testing.T) {
	t.Parallel()
	objects := byName(t, with(t, "servicemonitor"))
	d := read[appsv1.Deployment](t, objects["Deployment/inner-gateway"])
	service := read[corev1.Service](t, objects["Service/inner-gateway"])
	require.Equal(t, d.Namespace, service.Namespace)
	require.True(t, selects(t, metav1.SetAsLabelSelector(service.Spec.Selector), d.Spec.Template.Labels))
	require.Equal(t, d.Spec.Template.Spec.Containers[0].Ports[0].Name, service.Spec.Ports[0].TargetPort.String())
	require.Equal(t, int32(9901), service.Spec.Ports[0].Port)

	monitor := objects["ServiceMonitor/inner-gateway"]
	wanted, _, err := unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
	require.NoError(t, err)
	require.True(t, selects(t, metav1.SetAsLabelSelector(wanted), service.Labels))
	require.False(t, selects(t, metav1.SetAsLabelSelector(wanted), objects["Service/control-plane-inner"].GetLabels()),
		"every pod would be scraped twice")
	endpoints, _, err := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
	require.NoError(t, err)
	require.Len(t, endpoints, 1)
	endpoint, ok := endpoints[0].(map[string]any)
	require.True(t, ok)
	require.Equal(t, service.Spec.Ports[0].Name, endpoint["port"])
	require.Equal(t, "/metrics", endpoint["path"])
}

func TestProbesUseTLS(t *testing.T) {
	t.Parallel()
	objects := byName(t, with(t, "tls"))
	pod := read[appsv1.Deployment](t, objects["Deployment/inner-gateway"]).Spec.Template.Spec
	inner := pod.Containers[0]
	for _, probe := range []*corev1.Probe{inner.StartupProbe, inner.LivenessProbe, inner.ReadinessProbe} {
		require.Equal(t, corev1.URISchemeHTTPS, probe.HTTPGet.Scheme)
		require.NotEmpty(t, probe.HTTPGet.Path)
	}
	require.Subset(t, variables(inner), []string{
		"INNER_HTTP_TLS_CERTIFICATE=/etc/inner/tls/tls.crt", "INNER_HTTP_TLS_KEY=/etc/inner/tls/tls.key",
		"INNER_DATABASE_DSN_FILE=/etc/inner/secrets/database-dsn",
	})
	require.Equal(t, corev1.VolumeMount{Name: "tls", MountPath: "/etc/inner/tls", ReadOnly: true}, mount(inner, "tls"))
	require.Equal(t, "https", *read[corev1.Service](t, objects["Service/inner-gateway"]).Spec.Ports[0].AppProtocol)
}

func mount(container corev1.Container, name string) corev1.VolumeMount {
	for _, m := range container.VolumeMounts {
		if m.Name == name {
			return m
		}
	}
	return corev1.VolumeMount{}
}
