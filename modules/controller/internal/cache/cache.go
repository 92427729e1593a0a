// Package cache holds the actual state of the cluster: WorkerApps and the objects with a worker's labels, in the worker and the
// ingress namespace.
package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"go.uber.org/zap"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// Handlers are called for changes. They must return quickly.
type Handlers struct {
	// OnSpecChange is called for a WorkerApp that was added, deleted, or whose spec or annotations changed.
	OnSpecChange func(app string)
	// OnChange is called for a WorkerApp whose status or one of whose objects changed.
	OnChange func(app string)
	// OnDelete is called for each deleted object with its last version, before OnChange for its WorkerApp.
	OnDelete func(app string, ref kube.Ref, version string)
}

// informerKey identifies an informer.
type informerKey struct {
	resource  schema.GroupVersionResource
	namespace string
}

// Cache holds the informers. Its objects are shared and must not be changed.
type Cache struct {
	namespaces config.Namespaces
	informers  map[informerKey]cache.SharedIndexInformer
	// registrations tell when the handlers have been called for every listed object, which is after the informers' sync.
	registrations []cache.ResourceEventHandlerRegistration
	parts         parts
}

// New returns a Cache whose informers are not started.
func New(clients *kube.Clients, namespaces config.Namespaces, handlers Handlers, log *zap.Logger) (*Cache, error) {
	c := &Cache{namespaces: namespaces}
	if err := c.createInformers(clients); err != nil {
		return nil, err
	}
	for p, informer := range c.informers {
		registration, err := addHandlers(p, informer, handlers, log)
		if err != nil {
			return nil, fmt.Errorf("informer of %s: %w", p.resource.Resource, err)
		}
		c.registrations = append(c.registrations, registration)
	}
	return c, nil
}

// createInformers creates the informers of WorkerApps and of objects with a worker's label.
func (c *Cache) createInformers(clients *kube.Clients) error {
	c.informers = map[informerKey]cache.SharedIndexInformer{}
	var errs []error
	add := func(resource schema.GroupVersionResource, namespace string) func(cache.SharedIndexInformer, error) {
		return func(informer cache.SharedIndexInformer, err error) {
			c.informers[informerKey{resource, namespace}] = informer
			errs = append(errs, err)
		}
	}
	options := func(example runtime.Object) kube.InformerOptions {
		return kube.InformerOptions{Example: example, Selector: workerapp.WorkerLabel, Transform: c.trim}
	}
	worker, ingress := c.namespaces.Worker, c.namespaces.Ingress
	core, network := clients.Typed.CoreV1(), clients.Typed.NetworkingV1()
	apps, routes := clients.Dynamic.Resource(workerapp.Resource()), clients.Dynamic.Resource(children.Routes())
	allApps, podOptions := options(&unstructured.Unstructured{}), options(&corev1.Pod{})
	allApps.Selector, podOptions.Indexers = "", cache.Indexers{byApp: appIndex}
	add(workerapp.Resource(), worker)(kube.NewInformer(apps.Namespace(worker), allApps))
	add(children.ConfigMaps(), worker)(kube.NewInformer(core.ConfigMaps(worker), options(&corev1.ConfigMap{})))
	add(children.Secrets(), worker)(kube.NewInformer(core.Secrets(worker), options(&corev1.Secret{})))
	add(children.Deployments(), worker)(kube.NewInformer(clients.Typed.AppsV1().Deployments(worker), options(&appsv1.Deployment{})))
	add(children.Services(), worker)(kube.NewInformer(core.Services(worker), options(&corev1.Service{})))
	add(pods(), worker)(kube.NewInformer(core.Pods(worker), podOptions))
	add(children.Budgets(), worker)(kube.NewInformer(clients.Typed.PolicyV1().PodDisruptionBudgets(worker),
		options(&policyv1.PodDisruptionBudget{})))
	add(children.Policies(), worker)(kube.NewInformer(network.NetworkPolicies(worker), options(&networkingv1.NetworkPolicy{})))
	add(children.Services(), ingress)(kube.NewInformer(core.Services(ingress), options(&corev1.Service{})))
	add(children.Routes(), ingress)(kube.NewInformer(routes.Namespace(ingress), options(&unstructured.Unstructured{})))
	return errors.Join(errs...)
}

func pods() schema.GroupVersionResource { return corev1.SchemeGroupVersion.WithResource("pods") }

func addHandlers(p informerKey, informer cache.SharedIndexInformer, handlers Handlers,
	log *zap.Logger) (cache.ResourceEventHandlerRegistration, error) {
	if err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		logWatchError(ctx, p, err, log)
	}); err != nil {
		return nil, err
	}
	return informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { onAdd(p, object, handlers) },
		UpdateFunc: func(before, after any) { onUpdate(p, before, after, handlers) },
		DeleteFunc: func(object any) { onDelete(p, object, handlers) },
	})
}

// logWatchError logs a failed watch, which the informer retries with growing backoff. Watches that end normally are frequent.
func logWatchError(ctx context.Context, p informerKey, err error, log *zap.Logger) {
	fields := []zap.Field{zap.String("resource", p.resource.Resource), zap.String("namespace", p.namespace), logging.Error(err)}
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		log.Debug("watch ended", fields...)
		return
	}
	log.Warn("watch interrupted", fields...)
}

// Run runs the informers until ctx is done, and returns when all their goroutines have ended.
func (c *Cache) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, informer := range c.informers {
		running.Go(func() { informer.RunWithContext(ctx) })
	}
	running.Wait()
}

// WaitForSync waits until the handlers have been called for every listed object: later calls are for changes. It returns false if
// ctx is done first.
func (c *Cache) WaitForSync(ctx context.Context) bool {
	for _, registration := range c.registrations {
		select {
		case <-registration.HasSyncedChecker().Done():
		case <-ctx.Done():
			return false
		}
	}
	return true
}
