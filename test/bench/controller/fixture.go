package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/configs"
	"app238.com/inner/test/stack/controlplane"
)

const (
	workerNamespace = "worker"
	// requestsPerSecond keeps this program's own client from ever being the limit.
	requestsPerSecond = 1e5
	requestLimit      = time.Minute
)

// fixture is a control plane for one measurement, so that nothing of the previous one is left in memory or storage.
type fixture struct {
	clients *kube.Clients
	dir     string
	plane   *controlplane.ControlPlane
}

func newFixture(ctx context.Context) (*fixture, error) { return startFixture(ctx, false) }

// startFixture starts a control plane, with objectsOnly one whose objects stay as they were written.
func startFixture(ctx context.Context, objectsOnly bool) (w *fixture, err error) {
	w = &fixture{}
	if w.dir, err = os.MkdirTemp("", "bench-controller-"); err != nil {
		return nil, err
	}
	defer func(started *fixture) {
		if err != nil {
			err = errors.Join(err, started.close())
		}
	}(w)
	crd := filepath.Join(w.dir, "workerapps.yaml")
	if err := os.WriteFile(crd, configs.WorkerAppCRD, 0o600); err != nil {
		return nil, err
	}
	if w.plane, err = controlplane.Start(ctx, controlplane.Options{
		CRDs: []string{crd}, Log: os.Stderr, ObjectsOnly: objectsOnly,
	}); err != nil {
		return nil, err
	}
	w.clients, err = kube.NewClients(&config.Config{Kubernetes: config.Kubernetes{
		Kubeconfig: w.plane.Kubeconfig(), QPS: requestsPerSecond, Burst: requestsPerSecond, Timeout: requestLimit,
	}})
	return w, err
}

func (w *fixture) close() error {
	var errs []error
	if w.plane != nil {
		errs = append(errs, w.plane.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// lookout notes when objects of one kind came to be as they should.
type lookout struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	at      map[string]time.Time
	arrived chan struct{}
}

// watch starts a watch of the worker namespace's objects of a kind. An object is noted once, by its key, when key returns
// one that is not "".
func (w *fixture) watch(ctx context.Context, resource schema.GroupVersionResource,
	key func(*unstructured.Unstructured) string) (*lookout, error) {
	ctx, cancel := context.WithCancel(ctx)
	l := &lookout{cancel: cancel, at: map[string]time.Time{}, arrived: make(chan struct{}, 1)}
	informer := dynamicinformer.NewFilteredDynamicInformer(w.clients.Dynamic, resource, workerNamespace, 0, cache.Indexers{},
		func(*metav1.ListOptions) {}).Informer()
	note := func(object any) {
		if u, ok := object.(*unstructured.Unstructured); ok {
			l.note(key(u))
		}
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: note, UpdateFunc: func(_, after any) { note(after) },
	}); err != nil {
		cancel()
		return nil, err
	}
	l.done.Go(func() { informer.RunWithContext(ctx) })
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		l.close()
		return nil, fmt.Errorf("watch %s: %w", resource.Resource, ctx.Err())
	}
	return l, nil
}

func (l *lookout) close() {
	l.cancel()
	l.done.Wait()
}

func (l *lookout) note(key string) {
	if key == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.at[key]; !ok {
		l.at[key] = time.Now()
		select {
		case l.arrived <- struct{}{}:
		default:
		}
	}
}

// when waits for one key, and returns when it was noted.
func (l *lookout) when(ctx context.Context, key string) (time.Time, error) {
	var at time.Time
	err := l.until(ctx, func() bool {
		found, ok := l.at[key]
		at = found
		return ok
	})
	return at, err
}

// count waits until n keys were noted.
func (l *lookout) count(ctx context.Context, n int) error {
	return l.until(ctx, func() bool { return len(l.at) >= n })
}

func (l *lookout) until(ctx context.Context, met func() bool) error {
	check := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return met()
	}
	for !check() {
		select {
		case <-l.arrived:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
