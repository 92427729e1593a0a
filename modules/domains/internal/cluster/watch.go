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
	"app238.com/inner/app/observe"
	"app238.com/inner/modules/domains/internal/objects"
)

// watched is one kind of objects as the cluster has them.
type watched struct {
	kind     objects.Kind
	informer cache.SharedIndexInformer
	// missing is closed when the cluster said that it does not know the kind. The informer goes on trying, so that the
	// kind is watched as soon as it is installed.
	missing     chan struct{}
	missingOnce sync.Once
	synced      atomic.Bool
}

func (c *Cluster) watch(kind objects.Kind) (*watched, error) {
	w := &watched{kind: kind, missing: make(chan struct{}), informer: kube.NewInformer(
		c.clients.Dynamic.Resource(kind.Resource).Namespace(c.builder.Namespace), &unstructured.Unstructured{},
		objects.AppLabel+"="+objects.App, cache.Indexers{})}
	if err := w.informer.SetTransform(strip); err != nil {
		return nil, fmt.Errorf("informer of %s: %w", kind.Name, err)
	}
	if err := w.informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		c.failed(ctx, w, err)
	}); err != nil {
		return nil, fmt.Errorf("informer of %s: %w", kind.Name, err)
	}
	changed := func(object any) {
		if o, ok := object.(metav1.Object); ok {
			c.own(o.GetName(), o.GetAnnotations()[objects.UserAnnotation])
			c.queue.AddAfter(o.GetName(), settle)
		}
	}
	deleted := func(object any) {
		if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = last.Obj
		}
		if o, ok := object.(metav1.Object); ok {
			c.writes.Gone(o.GetName(), c.ref(kind, o.GetName()), o.GetResourceVersion())
		}
		changed(object)
	}
	_, err := w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: changed, UpdateFunc: func(_, after any) { changed(after) }, DeleteFunc: deleted,
	})
	return w, err
}

// strip removes what is never looked at, before it is kept.
func strip(object any) (any, error) {
	if o, ok := object.(metav1.Object); ok {
		drift.Note(o)
		if annotations := o.GetAnnotations(); annotations[corev1.LastAppliedConfigAnnotation] != "" {
			delete(annotations, corev1.LastAppliedConfigAnnotation)
			o.SetAnnotations(annotations)
		}
	}
	return object, nil
}

// failed tells of a watch that broke off. Watches that end are as usual as they are frequent.
func (c *Cluster) failed(ctx context.Context, w *watched, err error) {
	if apierrors.IsNotFound(err) && !w.synced.Load() {
		w.missingOnce.Do(func() {
			close(w.missing)
			c.metrics.Installed.WithLabelValues(w.kind.Name).Set(0)
			c.log.Warn("the cluster does not know a kind of object that custom domains need; they are served without it until it is installed",
				zap.String("kind", w.kind.Name), zap.String("group", w.kind.Resource.Group))
		})
		return
	}
	fields := []zap.Field{zap.String("kind", w.kind.Name), observe.Error(err)}
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		c.log.Debug("watch of custom domains ended", fields...)
		return
	}
	c.log.Warn("watch of custom domains interrupted", fields...)
}

// follow waits until a kind was listed. Where that is late, because the kind was installed only now, every domain needs a look.
func (c *Cluster) follow(ctx context.Context, w *watched) {
	select {
	case <-w.informer.HasSyncedChecker().Done():
	case <-ctx.Done():
		return
	}
	w.synced.Store(true)
	c.metrics.Installed.WithLabelValues(w.kind.Name).Set(1)
	select {
	case <-w.missing:
		c.log.Info("a kind of object that custom domains need was installed", zap.String("kind", w.kind.Name))
		c.mu.Lock()
		clear(c.seen)
		c.mu.Unlock()
	default:
	}
}

// known waits until a kind was listed, or is known to be missing. It returns false where ctx ends before.
func (w *watched) known(ctx context.Context) bool {
	select {
	case <-w.informer.HasSyncedChecker().Done():
		return true
	case <-w.missing:
		return true
	case <-ctx.Done():
		return false
	}
}

// installed tells whether the cluster knows the kind.
func (w *watched) installed() bool { return w.informer.HasSynced() }

func (c *Cluster) ref(kind objects.Kind, name string) kube.Ref {
	return kube.Ref{Resource: kind.Resource, Namespace: c.builder.Namespace, Name: name}
}

// cached returns the resource version of an object in the cache, "" where it is not there.
func (c *Cluster) cached(ref kube.Ref) string {
	for _, w := range c.watches {
		if w.kind.Resource == ref.Resource {
			if live := w.live(ref.Namespace, ref.Name); live != nil {
				return live.GetResourceVersion()
			}
		}
	}
	return ""
}

// live returns the object of a name, nil where there is none.
func (w *watched) live(namespace, name string) *unstructured.Unstructured {
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
