package cache

import (
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/workerapp"
)

// byApp is the name of the index of pods by WorkerApp.
const byApp = "app"

func appIndex(object any) ([]string, error) {
	if o, ok := object.(metav1.Object); ok && o.GetLabels()[workerapp.AppLabel] != "" {
		return []string{o.GetLabels()[workerapp.AppLabel]}, nil
	}
	return nil, nil
}

// Actual holds the children of one WorkerApp, nil where missing.
type Actual struct {
	ConfigMap  *corev1.ConfigMap
	Secret     *corev1.Secret
	Deployment *appsv1.Deployment
	Service    *corev1.Service
	// Legacy is the headless Service of an earlier release.
	Legacy   *corev1.Service
	Budget   *policyv1.PodDisruptionBudget
	Policy   *networkingv1.NetworkPolicy
	External *corev1.Service
	Route    *unstructured.Unstructured
	Pods     []*corev1.Pod
}

// App returns the WorkerApp with this name, nil if there is none. The error names fields of the wrong type; the others are set.
// The caller may set its fields, but not change what they refer to.
func (c *Cache) App(name string) (*workerapp.WorkerApp, error) {
	cached := get[*app](c, c.worker(workerapp.Resource(), name))
	if cached == nil {
		return nil, nil
	}
	found := cached.WorkerApp
	return &found, cached.malformed
}

// HasPendingChange reports whether a WorkerApp was changed or deleted since its status was written.
func (c *Cache) HasPendingChange(name string) bool {
	cached := get[*app](c, c.worker(workerapp.Resource(), name))
	return cached != nil && (cached.DeletionTimestamp != nil || !conditions.IsReported(&cached.WorkerApp))
}

// Children returns the actual children of the WorkerApp with this name.
func (c *Cache) Children(name string) Actual {
	return Actual{
		ConfigMap:  get[*corev1.ConfigMap](c, c.worker(children.ConfigMaps(), workerapp.EnvName(name))),
		Secret:     get[*corev1.Secret](c, c.worker(children.Secrets(), workerapp.SecretName(name))),
		Deployment: get[*appsv1.Deployment](c, c.worker(children.Deployments(), name)),
		Service:    get[*corev1.Service](c, c.worker(children.Services(), workerapp.ServiceName(name))),
		Legacy:     c.legacy(name),
		Budget:     get[*policyv1.PodDisruptionBudget](c, c.worker(children.Budgets(), name)),
		Policy:     get[*networkingv1.NetworkPolicy](c, c.worker(children.Policies(), name)),
		External:   get[*corev1.Service](c, c.ingress(children.Services(), workerapp.ExternalName(name))),
		Route:      get[*unstructured.Unstructured](c, c.ingress(children.Routes(), name)),
		Pods:       c.pods(name),
	}
}

func (c *Cache) legacy(name string) *corev1.Service {
	service := get[*corev1.Service](c, c.worker(children.Services(), name))
	if service == nil || !children.IsLegacyService(service, name) {
		return nil
	}
	return service
}

// CountUnmigrated returns how many workers are still reached through the headless Service of an earlier release.
func (c *Cache) CountUnmigrated() int {
	informer, ok := c.informers[informerKey{children.Services(), c.namespaces.Ingress}]
	if !ok {
		return 0
	}
	n := 0
	for _, object := range informer.GetStore().List() {
		if service, ok := object.(*corev1.Service); ok && children.PointsToLegacy(service, c.namespaces.Worker) {
			n++
		}
	}
	return n
}

// Names returns the names of all WorkerApps, including deleted ones with remaining objects.
func (c *Cache) Names() []string {
	names := map[string]struct{}{}
	for p, informer := range c.informers {
		for _, object := range informer.GetStore().List() {
			if o, ok := object.(metav1.Object); ok && appOf(p, o) != "" {
				names[appOf(p, o)] = struct{}{}
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// ResourceVersion returns the resourceVersion of an object, "" if it is missing.
func (c *Cache) ResourceVersion(ref kube.Ref) string {
	o := get[metav1.Object](c, ref)
	if o == nil {
		return ""
	}
	return o.GetResourceVersion()
}

func (c *Cache) worker(resource schema.GroupVersionResource, name string) kube.Ref {
	return kube.Ref{Resource: resource, Namespace: c.namespaces.Worker, Name: name}
}

func (c *Cache) ingress(resource schema.GroupVersionResource, name string) kube.Ref {
	return kube.Ref{Resource: resource, Namespace: c.namespaces.Ingress, Name: name}
}

func (c *Cache) pods(app string) []*corev1.Pod {
	informer, ok := c.informers[informerKey{pods(), c.namespaces.Worker}]
	if !ok {
		return nil
	}
	objects, err := informer.GetIndexer().ByIndex(byApp, app)
	if err != nil {
		return nil
	}
	var found []*corev1.Pod
	for _, object := range objects {
		if pod, ok := object.(*corev1.Pod); ok {
			found = append(found, pod)
		}
	}
	return found
}

// get returns a cached object, the zero T if it is missing.
func get[T any](c *Cache, ref kube.Ref) T {
	var none T
	informer, ok := c.informers[informerKey{ref.Resource, ref.Namespace}]
	if !ok {
		return none
	}
	object, exists, err := informer.GetStore().GetByKey(cache.NewObjectName(ref.Namespace, ref.Name).String())
	if err != nil || !exists {
		return none
	}
	found, ok := object.(T)
	if !ok {
		return none
	}
	return found
}
