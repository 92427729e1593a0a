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

// revisionHistory is how many old ReplicaSets are kept for an operator to look at. Going back is the database's matter.
const revisionHistory = 2

// Deployment builds N with so many pods. It does not repeat version and task of the WorkerApp: a new version of the same image
// writes nothing here.
func (b Builder) Deployment(app *workerapp.WorkerApp, contentHash string, replicas int32) (Child, error) {
	template, err := b.template(app, contentHash)
	if err != nil {
		return Child{}, fmt.Errorf("build deployments: %w", err)
	}
	annotations := map[string]string{GenerationAnnotation: strconv.FormatInt(app.Generation, 10)}
	// The old pods serve until the new ones are Ready, with one replica too.
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
	if b.MinReady > 0 { // 0 is what the API leaves out
		spec.WithMinReadySeconds(int32(b.MinReady.Seconds()))
	}
	return child(app, Deployments(), appsv1ac.Deployment(app.Name, b.WorkerNamespace).
		WithAnnotations(annotations).WithOwnerReferences(owner(app)).WithSpec(spec))
}

// Replicas returns the number of pods that a checked WorkerApp wishes.
func Replicas(app *workerapp.WorkerApp) int32 { return int32(app.Spec.WithDefaults().MaxReplicas) }

// NamesItsPort tells whether the pods of a live Deployment's template can be reached by way of the Service N-http.
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

// OfTemplate tells whether a pod is made of a live Deployment's current template, and not of an earlier one.
func IsCurrent(pod *corev1.Pod, deployment *appsv1.Deployment) bool {
	return pod.Annotations[TemplateAnnotation] == deployment.Spec.Template.Annotations[TemplateAnnotation]
}
