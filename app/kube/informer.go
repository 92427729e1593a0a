package kube

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Source lists and watches objects of one kind in one namespace, like the clients of client-go do.
type Source[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// NewInformer returns an informer of the objects of a source with the labels that the selector names. It ends as soon as
// its context does, also while the API server is away. The example is an empty object of the kind.
func NewInformer[L runtime.Object](source Source[L], example runtime.Object, selector string, indexers cache.Indexers) cache.SharedIndexInformer {
	return cache.NewSharedIndexInformerWithOptions(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = selector
			return source.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = selector
			w, err := source.Watch(ctx, options)
			if err != nil && options.SendInitialEvents != nil {
				err = hideUnavailable(err)
			}
			return w, err
		},
	}, example, cache.SharedIndexInformerOptions{Indexers: indexers})
}

// plain hides from client-go that the API server is away or busy. Knowing that of a watch that is to bring everything,
// its reflector sleeps up to a minute without heeding its context (watchList, in 0.37 too), and a process that is told to
// end cannot. Of other errors it makes a list instead, and heeds its context while it waits after that one.
func hideUnavailable(err error) error {
	if utilnet.IsConnectionRefused(err) || apierrors.IsTooManyRequests(err) {
		return errors.New(err.Error())
	}
	return err
}
