// Package children builds, from a WorkerApp, the objects that section 3 of the platform's contract asks for. Everything
// here is pure: the same input gives the same objects.
package children

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube/drift"
	"app238.com/inner/modules/controller/workerapp"
)

// Annotations of children, beside those copied from the WorkerApp.
const (
	// AppliedAnnotation holds a hash of the desired object.
	AppliedAnnotation = drift.HashAnnotation
	// ContentAnnotation holds a keyed hash: on the ConfigMap of its data, on the pod template of all that the pods see.
	ContentAnnotation = "console.app238.com/content-hash"
	// TemplateAnnotation on pods tells those of the wished template from earlier ones, so that ReplicaSets need no watch.
	TemplateAnnotation = "console.app238.com/template-hash"
	// GenerationAnnotation on the Deployment is the generation of the WorkerApp that it was made of.
	GenerationAnnotation = "console.app238.com/generation"
	// WorkersAnnotation on the IngressRoute is the worker namespace of the Inner that made it: its own fields do not tell.
	WorkersAnnotation = "console.app238.com/worker-namespace"
)

// Builder builds children. Its fields are the platform's settings that they depend on.
type Builder struct {
	Domain              string
	WorkerNamespace     string
	IngressNamespace    string
	CombinatorNamespace string
	ProgressDeadline    time.Duration
	MinReady            time.Duration
	Pods                config.Pods
	NetworkPolicy       config.NetworkPolicy
}

// Child is one wished object and where the API keeps its kind.
type Child struct {
	Resource schema.GroupVersionResource
	Object   *unstructured.Unstructured
	// Unwanted says that the object is not to be there.
	Absent bool
	// Withheld says that it is not yet to be written, whatever is there.
	Deferred bool
	// Replaceable says that the object may be deleted and made anew where the API refuses to change it: it holds
	// nothing that could be lost, and nothing stops running meanwhile.
	Replaceable bool
}

// ConfigMaps is where ConfigMaps live in the API.
func ConfigMaps() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("configmaps")
}

// Secrets is where Secrets live in the API.
func Secrets() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("secrets")
}

// Services is where Services live in the API.
func Services() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("services")
}

// Deployments is where Deployments live in the API.
func Deployments() schema.GroupVersionResource {
	return appsv1.SchemeGroupVersion.WithResource("deployments")
}

// Budgets is where PodDisruptionBudgets live in the API.
func Budgets() schema.GroupVersionResource {
	return policyv1.SchemeGroupVersion.WithResource("poddisruptionbudgets")
}

// Policies is where NetworkPolicies live in the API.
func Policies() schema.GroupVersionResource {
	return networkingv1.SchemeGroupVersion.WithResource("networkpolicies")
}

// Routes is where Traefik's IngressRoutes live in the API.
func Routes() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"}
}

func labels(app *workerapp.WorkerApp) map[string]string {
	return workerapp.Labels(app.Spec.WorkerID, app.Spec.OwnerID)
}

// selector is the pods' selector of the contract.
func selector(app *workerapp.WorkerApp) map[string]string {
	return map[string]string{workerapp.AppLabel: app.Name}
}

// owner has the garbage collector delete a child in the worker namespace after its WorkerApp.
func owner(app *workerapp.WorkerApp) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(workerapp.GroupVersion().String()).WithKind(workerapp.Kind).
		WithName(app.Name).WithUID(app.UID).
		WithController(true).WithBlockOwnerDeletion(true)
}

// child turns an apply configuration into a sealed Child with the labels of its worker.
func child(app *workerapp.WorkerApp, resource schema.GroupVersionResource, configuration any) (Child, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(configuration)
	if err != nil {
		return Child{}, fmt.Errorf("build %s: %w", resource.Resource, err)
	}
	return setHashes(app, Child{Resource: resource, Object: &unstructured.Unstructured{Object: content}})
}
