package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/app/kube"
	"app238.com/inner/app/kube/drift"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/domains/internal/objects"
)

// kindInformer is the informer of one kind.
type kindInformer struct {
	kind     objects.Kind
	informer cache.SharedIndexInformer
	// missing is closed when the cluster does not know the kind. The informer keeps retrying, so the kind is watched as soon as
	// it is installed.
	missing     chan struct{}
	missingOnce sync.Once
	synced      atomic.Bool
}

func (c *Cluster) newInformer(kind objects.Kind) (*kindInformer, error) {
	informer, err := kube.NewInformer(c.clients.Dynamic.Resource(kind.Resource).Namespace(c.builder.Namespace), kube.InformerOptions{
		Example: &unstructured.Unstructured{}, Selector: objects.AppLabel + "=" + objects.App, Transform: stripUnused,
	})
	if err != nil {
		return nil, fmt.Errorf("informer of %s: %w", kind.Name, err)
	}
	w := &kindInformer{kind: kind, missing: make(chan struct{}), informer: informer}
	if err := w.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		c.onWatchError(ctx, w, err)
	}); err != nil {
		return nil, fmt.Errorf("informer of %s: %w", kind.Name, err)
	}
	changed := func(object any) {
		if o, ok := object.(metav1.Object); ok {
			c.setUser(o.GetName(), o.GetAnnotations()[objects.UserAnnotation])
			c.queue.AddAfter(o.GetName(), eventDelay)
		}
	}
	deleted := func(object any) {
		if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = last.Obj
		}
		if o, ok := object.(metav1.Object); ok {
			c.writes.DeletionObserved(o.GetName(), c.ref(kind, o.GetName()), o.GetResourceVersion())
		}
		changed(object)
	}
	_, err = w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: changed, UpdateFunc: func(_, after any) { changed(after) }, DeleteFunc: deleted,
	})
	return w, err
}

// stripUnused removes unused content before an object is cached.
func stripUnused(object any) (any, error) {
	if o, ok := object.(metav1.Object); ok {
		drift.Annotate(o)
		if annotations := o.GetAnnotations(); annotations[corev1.LastAppliedConfigAnnotation] != "" {
			delete(annotations, corev1.LastAppliedConfigAnnotation)
			o.SetAnnotations(annotations)
		}
	}
	return object, nil
}

// onWatchError logs the end of a watch. A watch that ends regularly is logged for debugging only.
func (c *Cluster) onWatchError(ctx context.Context, w *kindInformer, err error) {
	if apierrors.IsNotFound(err) && !w.synced.Load() {
		w.missingOnce.Do(func() {
			close(w.missing)
			c.metrics.Installed.WithLabelValues(w.kind.Name).Set(0)
			c.log.Warn("kind of object is not installed; custom domains are served without it",
				zap.String("kind", w.kind.Name), zap.String("group", w.kind.Resource.Group))
		})
		return
	}
	fields := []zap.Field{zap.String("kind", w.kind.Name), logging.Error(err)}
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		c.log.Debug("watch of custom domains ended", fields...)
		return
	}
	c.log.Warn("watch of custom domains interrupted", fields...)
}

// awaitSync waits until the informer is synced. If the kind was missing before, every domain is reconciled again.
func (c *Cluster) awaitSync(ctx context.Context, w *kindInformer) {
	select {
	case <-w.informer.HasSyncedChecker().Done():
	case <-ctx.Done():
		return
	}
	w.synced.Store(true)
	c.metrics.Installed.WithLabelValues(w.kind.Name).Set(1)
	select {
	case <-w.missing:
		c.log.Info("kind of object was installed", zap.String("kind", w.kind.Name))
		c.mu.Lock()
		clear(c.reconciled)
		c.mu.Unlock()
	default:
	}
}

// awaitListed waits until the kind was listed or is known to be missing. It returns false if ctx ends before.
func (w *kindInformer) awaitListed(ctx context.Context) bool {
	select {
	case <-w.informer.HasSyncedChecker().Done():
		return true
	case <-w.missing:
		return true
	case <-ctx.Done():
		return false
	}
}

// installed reports whether the cluster knows the kind.
func (w *kindInformer) installed() bool { return w.informer.HasSynced() }

func (c *Cluster) ref(kind objects.Kind, name string) kube.Ref {
	return kube.Ref{Resource: kind.Resource, Namespace: c.builder.Namespace, Name: name}
}

// cached returns the resource version of an object in the cache, or "".
func (c *Cluster) cached(ref kube.Ref) string {
	for _, w := range c.informers {
		if w.kind.Resource == ref.Resource {
			if live := w.live(ref.Namespace, ref.Name); live != nil {
				return live.GetResourceVersion()
			}
		}
	}
	return ""
}

// live returns the object of a name, or nil.
func (w *kindInformer) live(namespace, name string) *unstructured.Unstructured {
	object, exists, err := w.informer.GetStore().GetByKey(cache.NewObjectName(namespace, name).String())
	if err != nil || !exists {
		return nil
	}
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	return u
}
