package children_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// pod builds the pod of a worker.
func (b bundle) pod(t *testing.T) corev1.PodSpec {
	t.Helper()
	c, err := b.builder.Deployment(b.app, "content", children.Replicas(b.app))
	return as[appsv1.Deployment](t, c, err).Spec.Template.Spec
}

func TestPodsHaveNoPrivileges(t *testing.T) {
	t.Parallel()
	b := setup(nil)
	pod := b.pod(t)
	no := false
	require.Equal(t, &corev1.PodSecurityContext{
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}, pod.SecurityContext)
	require.Equal(t, &corev1.SecurityContext{AllowPrivilegeEscalation: &no,
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}, pod.Containers[0].SecurityContext)
	require.Empty(t, pod.ImagePullSecrets)

	b.builder.Pods.RunAsNonRoot, b.builder.Pods.ImagePullSecrets = true, []string{"registry", "other"}
	pod = b.pod(t)
	require.True(t, *pod.SecurityContext.RunAsNonRoot)
	require.Equal(t, []corev1.LocalObjectReference{{Name: "registry"}, {Name: "other"}}, pod.ImagePullSecrets)
}

func TestUnprivilegedProgramMayListenOnLowPort(t *testing.T) {
	t.Parallel()
	require.Equal(t, []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}},
		setup(func(app *workerapp.WorkerApp) { app.Spec.Port = 80 }).pod(t).SecurityContext.Sysctls)
	require.Empty(t, setup(nil).pod(t).SecurityContext.Sysctls)
}

func TestProbesOpenPortAndAllowStartup(t *testing.T) {
	t.Parallel()
	b := setup(nil)
	container := b.pod(t).Containers[0]
	for _, probe := range []*corev1.Probe{container.StartupProbe, container.ReadinessProbe, container.LivenessProbe} {
		require.Equal(t, intstr.FromInt32(8080), probe.TCPSocket.Port)
		require.Positive(t, probe.TimeoutSeconds)
	}
	start := time.Duration(container.StartupProbe.FailureThreshold*container.StartupProbe.PeriodSeconds) * time.Second
	require.Greater(t, start, b.builder.ProgressDeadline, "the rollout fails first, with a reason")
	require.Less(t, container.StartupProbe.PeriodSeconds, container.ReadinessProbe.PeriodSeconds, "a pod becomes ready soon")
}

func TestReplacedPodServesUntilIngressUpdates(t *testing.T) {
	t.Parallel()
	b := setup(nil)
	pod := b.pod(t)
	require.EqualValues(t, 5, pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds)
	require.EqualValues(t, 25, *pod.TerminationGracePeriodSeconds)
	b.builder.Pods.StopDelay = 0
	require.Nil(t, b.pod(t).Containers[0].Lifecycle)
}

func TestPodsOfVersionSpreadOverNodes(t *testing.T) {
	t.Parallel()
	spread := setup(nil).pod(t).TopologySpreadConstraints
	require.Len(t, spread, 1)
	require.Equal(t, "kubernetes.io/hostname", spread[0].TopologyKey)
	require.Equal(t, corev1.ScheduleAnyway, spread[0].WhenUnsatisfiable)
	require.Equal(t, map[string]string{"app": name}, spread[0].LabelSelector.MatchLabels)
	require.Equal(t, []string{"pod-template-hash"}, spread[0].MatchLabelKeys)
}

func TestBudgetNeedsSeveralPods(t *testing.T) {
	t.Parallel()
	b := setup(nil)
	c, err := b.builder.Budget(b.app)
	budget := as[policyv1.PodDisruptionBudget](t, c, err)
	requireMeta(t, &budget, "workers", name, true)
	require.False(t, c.Absent)
	require.Equal(t, intstr.FromInt32(1), *budget.Spec.MaxUnavailable)
	require.Equal(t, map[string]string{"app": name}, budget.Spec.Selector.MatchLabels)
	require.Equal(t, policyv1.AlwaysAllow, *budget.Spec.UnhealthyPodEvictionPolicy)
	for _, replicas := range []int64{0, 1} {
		b.app.Spec.MaxReplicas = replicas
		c, err = b.builder.Budget(b.app)
		require.NoError(t, err)
		require.True(t, c.Absent)
	}
}

func TestPolicyAllowsIngressDNSCombinatorAndInternet(t *testing.T) {
	t.Parallel()
	b := setup(nil)
	c, err := b.builder.Policy(b.app)
	policy := as[networkingv1.NetworkPolicy](t, c, err)
	requireMeta(t, &policy, "workers", name, true)
	require.Equal(t, map[string]string{"app": name}, policy.Spec.PodSelector.MatchLabels)
	require.Equal(t, []networkingv1.PolicyType{"Ingress", "Egress"}, policy.Spec.PolicyTypes)

	require.Len(t, policy.Spec.Ingress, 1)
	require.Len(t, policy.Spec.Ingress[0].From, 1)
	require.Equal(t, "edge", policy.Spec.Ingress[0].From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])

	require.Len(t, policy.Spec.Egress, 3)
	dns, combinator, internet := policy.Spec.Egress[0], policy.Spec.Egress[1], policy.Spec.Egress[2]
	require.Equal(t, "dns", dns.To[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
	require.Equal(t, "169.254.20.10/32", dns.To[1].IPBlock.CIDR)
	require.Len(t, dns.Ports, 2)
	for _, port := range dns.Ports {
		require.Equal(t, intstr.FromInt32(53), *port.Port)
	}
	require.Len(t, combinator.To, 1)
	require.Equal(t, "combinator", combinator.To[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
	require.Equal(t, map[string]string{"app": "combinator"}, combinator.To[0].PodSelector.MatchLabels)
	require.Equal(t, []networkingv1.NetworkPolicyPeer{
		{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{"10.0.0.0/8"}}},
		{IPBlock: &networkingv1.IPBlock{CIDR: "::/0", Except: []string{"fc00::/7"}}},
	}, internet.To)

	b.builder.NetworkPolicy.Enabled = false
	c, err = b.builder.Policy(b.app)
	require.NoError(t, err)
	require.True(t, c.Absent)
}

func TestNewVersionRollsPodsOfMutableImageOnly(t *testing.T) {
	t.Parallel()
	const digest = "@sha256:0000000000000000000000000000000000000000000000000000000000000000"
	for image, rolls := range map[string]bool{
		"app": true, "registry.test:5000/team/app": true, "registry.test/app:latest": true,
		"app:1": false, "registry.test:5000/app:latest-1": false, "app" + digest: false, "app:latest" + digest: false,
	} {
		var hashes []string
		for _, version := range []string{"7", "8"} {
			b := setup(func(app *workerapp.WorkerApp) {
				app.Spec.Image, app.Annotations[workerapp.VersionAnnotation] = image, version
			})
			c, err := b.builder.Deployment(b.app, "content", children.Replicas(b.app))
			policy := as[appsv1.Deployment](t, c, err).Spec.Template.Spec.Containers[0].ImagePullPolicy
			require.Equal(t, rolls, policy == corev1.PullAlways, image)
			hashes = append(hashes, templateHash(t, c))
		}
		require.Equal(t, rolls, hashes[0] != hashes[1], image)
	}
}
