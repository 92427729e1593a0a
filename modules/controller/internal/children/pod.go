package children

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

const (
	// stopGrace is how long a pod that is replaced may take to finish its requests.
	stopGrace = 30
	// probePeriod and probeTimeout are those of the readiness probe, in seconds.
	probePeriod  = 5
	probeTimeout = 2
	// combinatorApp is the label app of the Combinator's pods.
	combinatorApp = "combinator"
)

func (b Builder) template(app *workerapp.WorkerApp, contentHash string) (*corev1ac.PodTemplateSpecApplyConfiguration, error) {
	container, err := container(app)
	if err != nil {
		return nil, err
	}
	pod := corev1ac.PodSpec().
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(stopGrace).
		WithAffinity(b.affinity(app)).
		WithContainers(container)
	template := corev1ac.PodTemplateSpec().WithLabels(labels(app)).
		WithAnnotations(map[string]string{ContentAnnotation: contentHash}).WithSpec(pod)
	sum, err := digest(template)
	if err != nil {
		return nil, err
	}
	return template.WithAnnotations(map[string]string{TemplateAnnotation: sum}), nil
}

func container(app *workerapp.WorkerApp) (*corev1ac.ContainerApplyConfiguration, error) {
	resources, err := resources(app.Spec.WithDefaults())
	if err != nil {
		return nil, err
	}
	port := int32(app.Spec.Port)
	return corev1ac.Container().WithName(app.Name).WithImage(app.Spec.Image).
		WithPorts(corev1ac.ContainerPort().WithContainerPort(port).WithProtocol(corev1.ProtocolTCP)).
		WithEnvFrom(
			corev1ac.EnvFromSource().WithConfigMapRef(corev1ac.ConfigMapEnvSource().WithName(workerapp.EnvName(app.Name))),
			corev1ac.EnvFromSource().WithSecretRef(corev1ac.SecretEnvSource().WithName(workerapp.SecretName(app.Name))),
		).
		WithResources(corev1ac.ResourceRequirements().WithRequests(resources).WithLimits(resources)).
		WithReadinessProbe(corev1ac.Probe().
			WithTCPSocket(corev1ac.TCPSocketAction().WithPort(intstr.FromInt32(port))).
			WithPeriodSeconds(probePeriod).WithTimeoutSeconds(probeTimeout)).
		// Few programs write a termination message; without one the end of the log tells the owner why it crashed.
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError), nil
}

func resources(spec workerapp.Spec) (corev1.ResourceList, error) {
	list := corev1.ResourceList{}
	for name, value := range map[corev1.ResourceName]string{
		corev1.ResourceCPU: spec.AssignedCPU, corev1.ResourceMemory: spec.AssignedMemory, corev1.ResourceEphemeralStorage: spec.AssignedDisk,
	} {
		quantity, err := resource.ParseQuantity(value)
		if err != nil {
			return nil, err
		}
		list[name] = quantity
	}
	return list, nil
}

// affinity prefers the host of a Combinator pod, to which the worker talks all the time, and requires the region.
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
