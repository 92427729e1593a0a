package children

import (
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// combinatorApp is the label app of the Combinator's pods.
const combinatorApp = "combinator"

func (b Builder) template(app *workerapp.WorkerApp, contentHash string) (*corev1ac.PodTemplateSpecApplyConfiguration, error) {
	container, err := b.container(app)
	if err != nil {
		return nil, err
	}
	pod := corev1ac.PodSpec().
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(int64((b.Pods.StopDelay + b.Pods.StopGrace).Seconds())).
		WithAffinity(b.affinity(app)).
		WithTopologySpreadConstraints(spread(app)).
		WithSecurityContext(b.podSecurity(app)).
		WithContainers(container)
	for _, name := range b.Pods.ImagePullSecrets {
		pod.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(name))
	}
	annotations := map[string]string{ContentAnnotation: contentHash}
	if isMutable(app.Spec.Image) {
		copyAnnotation(annotations, app.Annotations, workerapp.VersionAnnotation)
	}
	template := corev1ac.PodTemplateSpec().WithLabels(labels(app)).WithAnnotations(annotations).WithSpec(pod)
	sum, err := digest(template)
	if err != nil {
		return nil, err
	}
	return template.WithAnnotations(map[string]string{TemplateAnnotation: sum}), nil
}

// isMutable reports whether an image reference may resolve to another image later: it has no digest, and the tag latest or none.
// A new version of such an image rolls the pods, which pull it.
func isMutable(image string) bool {
	_, tag, tagged := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":")
	return !strings.Contains(image, "@") && (!tagged || tag == "latest")
}

func (b Builder) container(app *workerapp.WorkerApp) (*corev1ac.ContainerApplyConfiguration, error) {
	resources, err := resources(app.Spec.WithDefaults())
	if err != nil {
		return nil, err
	}
	port := int32(app.Spec.Port)
	container := corev1ac.Container().WithName(app.Name).WithImage(app.Spec.Image).
		WithPorts(corev1ac.ContainerPort().WithName(portName).WithContainerPort(port).WithProtocol(corev1.ProtocolTCP)).
		WithEnvFrom(
			corev1ac.EnvFromSource().WithConfigMapRef(corev1ac.ConfigMapEnvSource().WithName(workerapp.EnvName(app.Name))),
			corev1ac.EnvFromSource().WithSecretRef(corev1ac.SecretEnvSource().WithName(workerapp.SecretName(app.Name))),
		).
		WithResources(corev1ac.ResourceRequirements().WithRequests(resources).WithLimits(resources)).
		WithSecurityContext(containerSecurity()).
		// Few programs write a termination message: the end of the log is the fallback.
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError)
	if isMutable(app.Spec.Image) { // explicit, since the API server keeps its default for an earlier image
		container.WithImagePullPolicy(corev1.PullAlways)
	}
	if delay := int64(b.Pods.StopDelay.Seconds()); delay > 0 {
		container.WithLifecycle(corev1ac.Lifecycle().WithPreStop(corev1ac.LifecycleHandler().
			WithSleep(corev1ac.SleepAction().WithSeconds(delay))))
	}
	return b.withProbes(container, port), nil
}

func resources(spec workerapp.Spec) (corev1.ResourceList, error) {
	list := corev1.ResourceList{}
	for name, value := range map[corev1.ResourceName]string{
		corev1.ResourceCPU: spec.AssignedCPU, corev1.ResourceMemory: spec.AssignedMemory,
		corev1.ResourceEphemeralStorage: spec.AssignedDisk,
	} {
		quantity, err := resource.ParseQuantity(value)
		if err != nil {
			return nil, err
		}
		list[name] = quantity
	}
	return list, nil
}

// affinity prefers a node with a Combinator pod, which workers call often, and requires the region.
func (b Builder) affinity(app *workerapp.WorkerApp) *corev1ac.AffinityApplyConfiguration {
	nearCombinator := corev1ac.PodAffinityTerm().
		WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(map[string]string{workerapp.AppLabel: combinatorApp})).
		WithNamespaces(b.CombinatorNamespace).
		WithTopologyKey(corev1.LabelHostname)
	affinity := corev1ac.Affinity().WithPodAffinity(corev1ac.PodAffinity().
		WithPreferredDuringSchedulingIgnoredDuringExecution(
			corev1ac.WeightedPodAffinityTerm().WithWeight(100).WithPodAffinityTerm(nearCombinator)))
	if region := app.Spec.WithDefaults().MainRegion; region != "" {
		affinity.WithNodeAffinity(corev1ac.NodeAffinity().WithRequiredDuringSchedulingIgnoredDuringExecution(
			corev1ac.NodeSelector().WithNodeSelectorTerms(corev1ac.NodeSelectorTerm().WithMatchExpressions(
				corev1ac.NodeSelectorRequirement().WithKey(corev1.LabelTopologyRegion).
					WithOperator(corev1.NodeSelectorOpIn).WithValues(region)))))
	}
	return affinity
}

// spread prefers nodes with fewer pods of the same version, without requiring several nodes.
func spread(app *workerapp.WorkerApp) *corev1ac.TopologySpreadConstraintApplyConfiguration {
	return corev1ac.TopologySpreadConstraint().WithMaxSkew(1).WithTopologyKey(corev1.LabelHostname).
		WithWhenUnsatisfiable(corev1.ScheduleAnyway).
		WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(selector(app))).
		WithMatchLabelKeys(appsv1.DefaultDeploymentUniqueLabelKey)
}

// Ports below unprivilegedPorts need a capability unless this sysctl is set, which the Pod Security Standards count as safe.
const (
	unprivilegedPorts  = 1024
	portStartParameter = "net.ipv4.ip_unprivileged_port_start"
)

// podSecurity follows the Pod Security Standards: baseline, or restricted if controller.pods.runAsNonRoot is set.
func (b Builder) podSecurity(app *workerapp.WorkerApp) *corev1ac.PodSecurityContextApplyConfiguration {
	security := corev1ac.PodSecurityContext().
		WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	if b.Pods.RunAsNonRoot {
		security.WithRunAsNonRoot(true)
	}
	if app.Spec.Port < unprivilegedPorts {
		security.WithSysctls(corev1ac.Sysctl().WithName(portStartParameter).WithValue("0"))
	}
	return security
}

func containerSecurity() *corev1ac.SecurityContextApplyConfiguration {
	return corev1ac.SecurityContext().WithAllowPrivilegeEscalation(false).
		WithCapabilities(corev1ac.Capabilities().WithDrop("ALL"))
}

// All probes open a TCP connection to the port: nothing else is known of a tenant's image. Periods and timeouts are in seconds.
const (
	// startupPeriod is short, since no pod is ready before its first success.
	startupPeriod = 1
	// A program that accepts no connection gets no requests after three failed readiness probes, and is restarted after six failed
	// liveness probes.
	readinessPeriod  = 5
	livenessPeriod   = 10
	livenessFailures = 6
	probeTimeout     = 2
	maxStartTime     = time.Hour
)

// withProbes gives a program the whole progress deadline to start: the rollout fails before the container is killed, so that its
// owner gets the reason.
func (b Builder) withProbes(container *corev1ac.ContainerApplyConfiguration, port int32) *corev1ac.ContainerApplyConfiguration {
	probe := func(period int32) *corev1ac.ProbeApplyConfiguration {
		return corev1ac.Probe().WithTCPSocket(corev1ac.TCPSocketAction().WithPort(intstr.FromInt32(port))).
			WithPeriodSeconds(period).WithTimeoutSeconds(probeTimeout)
	}
	startupFailures := int32(min(b.ProgressDeadline, maxStartTime).Seconds())/startupPeriod + livenessFailures
	return container.
		WithStartupProbe(probe(startupPeriod).WithFailureThreshold(startupFailures)).
		WithReadinessProbe(probe(readinessPeriod)).
		WithLivenessProbe(probe(livenessPeriod).WithFailureThreshold(livenessFailures))
}
