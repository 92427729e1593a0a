// Package children builds the desired objects of a WorkerApp, which section 3 of the platform's contract defines. It is pure: the
// same input gives the same objects.
package children

import (
	"encoding/json"
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

// Annotations of children, besides those copied from the WorkerApp.
const (
	// AppliedAnnotation holds the hash of the desired object.
	AppliedAnnotation = drift.HashAnnotation
	// ContentAnnotation holds a keyed hash: on the ConfigMap of its data, on the pod template of the pods' whole environment.
	ContentAnnotation = "console.app238.com/content-hash"
	// TemplateAnnotation on pods distinguishes those of the desired template from earlier ones, so that ReplicaSets need no watch.
	TemplateAnnotation = "console.app238.com/template-hash"
	// GenerationAnnotation on the Deployment is the generation of the WorkerApp that it was built from.
	GenerationAnnotation = "console.app238.com/generation"
	// WorkersAnnotation on the IngressRoute is the worker namespace of the platform that created it.
	WorkersAnnotation = "console.app238.com/worker-namespace"
)

// Builder builds children from the platform's settings in its fields.
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

// Child is one desired object and its resource in the API.
type Child struct {
	Resource schema.GroupVersionResource
	Object   *unstructured.Unstructured
	// Absent means that the object is to be deleted.
	Absent bool
	// Deferred means that the object is not to be written yet.
	Deferred bool
	// Replaceable means that the object may be deleted and recreated if the API refuses to change it: it holds no data, and
	// no pod stops.
	Replaceable bool
}

// ConfigMaps returns the resource of ConfigMaps.
func ConfigMaps() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("configmaps")
}

// Secrets returns the resource of Secrets.
func Secrets() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("secrets")
}

// Services returns the resource of Services.
func Services() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("services")
}

// Deployments returns the resource of Deployments.
func Deployments() schema.GroupVersionResource {
	return appsv1.SchemeGroupVersion.WithResource("deployments")
}

// Budgets returns the resource of PodDisruptionBudgets.
func Budgets() schema.GroupVersionResource {
	return policyv1.SchemeGroupVersion.WithResource("poddisruptionbudgets")
}

// Policies returns the resource of NetworkPolicies.
func Policies() schema.GroupVersionResource {
	return networkingv1.SchemeGroupVersion.WithResource("networkpolicies")
}

// Routes returns the resource of Traefik's IngressRoutes.
func Routes() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"}
}

func labels(app *workerapp.WorkerApp) map[string]string {
	return workerapp.Labels(app.Spec.WorkerID, app.Spec.OwnerID)
}

// selector returns the pods' selector, which the contract defines.
func selector(app *workerapp.WorkerApp) map[string]string {
	return map[string]string{workerapp.AppLabel: app.Name}
}

// owner makes the garbage collector delete a child in the worker namespace with its WorkerApp.
func owner(app *workerapp.WorkerApp) *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(workerapp.GroupVersion().String()).WithKind(workerapp.Kind).
		WithName(app.Name).WithUID(app.UID).
		WithController(true).WithBlockOwnerDeletion(true)
}

// child converts an apply configuration to a Child with labels and hashes.
func child(app *workerapp.WorkerApp, resource schema.GroupVersionResource, configuration any) (Child, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(configuration)
	if err != nil {
		return Child{}, fmt.Errorf("build %s: %w", resource.Resource, err)
	}
	return setHashes(app, Child{Resource: resource, Object: &unstructured.Unstructured{Object: content}})
}

// setHashes sets the labels of c's worker and the hash of the desired object. The hash excludes a Secret's data, which is
// compared directly: readers of an unkeyed hash could test guesses of secrets.
func setHashes(app *workerapp.WorkerApp, c Child) (Child, error) {
	workerapp.SetIDs(c.Object, app.Spec.WorkerID, app.Spec.OwnerID)
	var except []string
	if c.Resource == Secrets() {
		except = []string{"data"}
	}
	if err := drift.SetHash(c.Object, except...); err != nil {
		return Child{}, fmt.Errorf("build %s: %w", c.Resource.Resource, err)
	}
	return c, nil
}

// digest hashes a value's JSON with sorted keys. It does not depend on the order of a library's struct fields: a new release must
// not restart every pod.
func digest(value any) (string, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	var content map[string]any
	if err := json.Unmarshal(encoded, &content); err != nil {
		return "", err
	}
	return drift.Hash(content)
}
