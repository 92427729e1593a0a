package children

import (
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// revisionHistory is how many old ReplicaSets are kept for debugging. The database does rollbacks.
const revisionHistory = 2

// Deployment builds the Deployment N. It has no annotation with the WorkerApp's version or task: a new version of the same image
// does not change it.
func (b Builder) Deployment(app *workerapp.WorkerApp, contentHash string, replicas int32) (Child, error) {
	template, err := b.template(app, contentHash)
	if err != nil {
		return Child{}, fmt.Errorf("build deployments: %w", err)
	}
	annotations := map[string]string{GenerationAnnotation: strconv.FormatInt(app.Generation, 10)}
	// The old pods serve until the new ones are ready, with one replica too.
	strategy := appsv1ac.DeploymentStrategy().WithType(appsv1.RollingUpdateDeploymentStrategyType).
		WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
			WithMaxUnavailable(intstr.FromInt32(0)).WithMaxSurge(intstr.FromInt32(1)))
	spec := appsv1ac.DeploymentSpec().
		WithReplicas(replicas).
		WithSelector(metav1ac.LabelSelector().WithMatchLabels(selector(app))).
		WithStrategy(strategy).
		WithProgressDeadlineSeconds(int32(b.ProgressDeadline.Seconds())).
		WithRevisionHistoryLimit(revisionHistory).
		WithPaused(false).
		WithTemplate(template)
	if b.MinReady > 0 { // the API omits 0
		spec.WithMinReadySeconds(int32(b.MinReady.Seconds()))
	}
	return child(app, Deployments(), appsv1ac.Deployment(app.Name, b.WorkerNamespace).
		WithAnnotations(annotations).WithOwnerReferences(owner(app)).WithSpec(spec))
}

// Replicas returns the desired number of pods of a valid WorkerApp.
func Replicas(app *workerapp.WorkerApp) int32 { return int32(app.Spec.WithDefaults().MaxReplicas) }

// HasNamedPort reports whether the Service N-http can reach the pods of a live Deployment's template.
func HasNamedPort(deployment *appsv1.Deployment) bool {
	for _, container := range deployment.Spec.Template.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == portName {
				return true
			}
		}
	}
	return false
}

// IsCurrent reports whether a pod has a live Deployment's current template.
func IsCurrent(pod *corev1.Pod, deployment *appsv1.Deployment) bool {
	return pod.Annotations[TemplateAnnotation] == deployment.Spec.Template.Annotations[TemplateAnnotation]
}
