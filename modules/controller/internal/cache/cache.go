// Package cache keeps in memory what the controller needs to know of the cluster: WorkerApps and the objects that carry
// a worker's labels, in the worker and in the ingress namespace.
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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// Handlers are told what changes. All must return quickly.
type Handlers struct {
	// Wished is told the name of a WorkerApp that is new, or whose wish changed: its spec, its version, its deletion.
	OnSpecChange func(app string)
	// Changed is told the name of a WorkerApp whose status changed, or one of whose objects did.
	OnChange func(app string)
	// Gone is told of each object that vanished, and in which version, before Changed is told of its WorkerApp.
	OnDelete func(app string, ref kube.Ref, version string)
}

// place is what one informer watches.
type informerKey struct {
	resource  schema.GroupVersionResource
	namespace string
}

// Cache is what is known of the cluster. Objects in it are shared: nobody changes them.
type Cache struct {
	namespaces config.Namespaces
	informers  map[informerKey]cache.SharedIndexInformer
	// told are the handlers' registrations: what an informer listed is known before its handlers were told of it.
	registrations []cache.ResourceEventHandlerRegistration
}

// New makes the informers without starting them.
func New(clients *kube.Clients, namespaces config.Namespaces, handlers Handlers, log *zap.Logger) (*Cache, error) {
	c := &Cache{namespaces: namespaces, informers: informers(clients, namespaces.Worker, namespaces.Ingress)}
	for p, informer := range c.informers {
		registrations, err := prepare(p, informer, handlers, log)
		if err != nil {
			return nil, fmt.Errorf("informer of %s: %w", p.resource.Resource, err)
		}
		c.registrations = append(c.registrations, registrations)
	}
	return c, nil
}

// informers watch the WorkerApps, and what carries a worker's label.
func informers(clients *kube.Clients, worker, ingress string) map[informerKey]cache.SharedIndexInformer {
	const all, ours = "", workerapp.WorkerLabel
	none, dynamic := cache.Indexers{}, &unstructured.Unstructured{}
	core, network := clients.Typed.CoreV1(), clients.Typed.NetworkingV1()
	apps, routes := clients.Dynamic.Resource(workerapp.Resource()), clients.Dynamic.Resource(children.Routes())
	return map[informerKey]cache.SharedIndexInformer{
		{workerapp.Resource(), worker}:   kube.NewInformer(apps.Namespace(worker), dynamic, all, none),
		{children.ConfigMaps(), worker}:  kube.NewInformer(core.ConfigMaps(worker), &corev1.ConfigMap{}, ours, none),
		{children.Secrets(), worker}:     kube.NewInformer(core.Secrets(worker), &corev1.Secret{}, ours, none),
		{children.Deployments(), worker}: kube.NewInformer(clients.Typed.AppsV1().Deployments(worker), &appsv1.Deployment{}, ours, none),
		{children.Services(), worker}:    kube.NewInformer(core.Services(worker), &corev1.Service{}, ours, none),
		{pods(), worker}:                 kube.NewInformer(core.Pods(worker), &corev1.Pod{}, ours, cache.Indexers{byApp: appIndex}),
		{children.Budgets(), worker}: kube.NewInformer(
			clients.Typed.PolicyV1().PodDisruptionBudgets(worker), &policyv1.PodDisruptionBudget{}, ours, none),
		{children.Policies(), worker}:  kube.NewInformer(network.NetworkPolicies(worker), &networkingv1.NetworkPolicy{}, ours, none),
		{children.Services(), ingress}: kube.NewInformer(core.Services(ingress), &corev1.Service{}, ours, none),
		{children.Routes(), ingress}:   kube.NewInformer(routes.Namespace(ingress), dynamic, ours, none),
	}
}

func pods() schema.GroupVersionResource { return corev1.SchemeGroupVersion.WithResource("pods") }

func prepare(p informerKey, informer cache.SharedIndexInformer, handlers Handlers, log *zap.Logger) (cache.ResourceEventHandlerRegistration, error) {
	if err := informer.SetTransform(strip); err != nil {
		return nil, err
	}
	if err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		logWatchError(ctx, p, err, log)
	}); err != nil {
		return nil, err
	}
	return informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { added(p, object, handlers) },
		UpdateFunc: func(before, after any) { updated(p, before, after, handlers) },
		DeleteFunc: func(object any) { deleted(p, object, handlers) },
	})
}

// logWatchError tells of a watch that broke off; the informer goes on by itself, more slowly each time. Watches that end
// are as usual as they are frequent.
func logWatchError(ctx context.Context, p informerKey, err error, log *zap.Logger) {
	fields := []zap.Field{zap.String("resource", p.resource.Resource), zap.String("namespace", p.namespace), logging.Error(err)}
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		log.Debug("watch ended", fields...)
		return
	}
	log.Warn("watch interrupted", fields...)
}

// Run watches until ctx ends, and returns when every goroutine of it has.
func (c *Cache) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, informer := range c.informers {
		running.Go(func() { informer.RunWithContext(ctx) })
	}
	running.Wait()
}

// WaitForSync waits until everything was listed once, and the handlers were told of it: what they are told from then on
// has changed. It returns false where ctx ended before.
func (c *Cache) WaitForSync(ctx context.Context) bool {
	for _, registrations := range c.registrations {
		select {
		case <-registrations.HasSyncedChecker().Done():
		case <-ctx.Done():
			return false
		}
	}
	return true
}
