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

// Source lists and watches objects of one kind in one namespace, as client-go's clients do.
type Source[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// NewInformer returns an informer of the source's objects that match the label selector. It stops with its context, also
// while the API server is unavailable. The example is an empty object of the kind.
func NewInformer[L runtime.Object](source Source[L], example runtime.Object, selector string,
	indexers cache.Indexers) cache.SharedIndexInformer {
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

// hideUnavailable hides from client-go that the API server is unavailable or overloaded. After such an error of a streaming list,
// client-go's reflector sleeps up to a minute without checking its context (its WatchList feature, as of 0.37), so that a
// stopping process would hang. After other errors it falls back to a list, and checks its context while it waits.
func hideUnavailable(err error) error {
	if utilnet.IsConnectionRefused(err) || apierrors.IsTooManyRequests(err) {
		return errors.New(err.Error())
	}
	return err
}
