package kube

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
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

// InformerOptions describe an informer.
type InformerOptions struct {
	// Example is an empty object of the kind.
	Example runtime.Object
	// Selector selects objects by label; "" selects all.
	Selector string
	Indexers cache.Indexers
	// Transform trims each object as it arrives, before others are read. It gets some objects twice.
	Transform cache.TransformFunc
}

// NewInformer returns an informer of the source's objects. It stops with its context, also while the API server is unavailable.
// Its initial list is a stream, or pages if the API server does not support that, so that no more than a page is kept untrimmed.
func NewInformer[L runtime.Object](source Source[L], o InformerOptions) (cache.SharedIndexInformer, error) {
	informer := cache.NewSharedIndexInformerWithOptions(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = o.Selector
			return listPage(ctx, source, options, o.Transform)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = o.Selector
			w, err := source.Watch(ctx, options)
			if err != nil && options.SendInitialEvents != nil {
				err = hideUnavailable(err)
			}
			return w, err
		},
	}, o.Example, cache.SharedIndexInformerOptions{Indexers: o.Indexers})
	return informer, informer.SetTransform(o.Transform)
}

// fromCache is the version of a list that the API server answers from its watch cache, with all objects at once whatever the
// limit.
const fromCache = "0"

// listPage returns a page with trimmed objects. It requests the latest version instead of any, for which the API server
// ignores the limit. A list without a limit is left as it is: client-go requests one when a continue token expired.
func listPage[L runtime.Object](ctx context.Context, source Source[L], options metav1.ListOptions,
	transform cache.TransformFunc) (runtime.Object, error) {
	if options.ResourceVersion == fromCache && options.Limit > 0 {
		options.ResourceVersion = ""
	}
	page, err := source.List(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := meta.EachListItem(page, func(item runtime.Object) error { return trimInPlace(item, transform) }); err != nil {
		return nil, fmt.Errorf("trim a list: %w", err)
	}
	return page, nil
}

// trimInPlace replaces an element of a list by its trimmed form. One of another type replaces it only when it is cached.
func trimInPlace(item runtime.Object, transform cache.TransformFunc) error {
	trimmed, err := transform(item)
	if err != nil {
		return err
	}
	from, to := reflect.ValueOf(trimmed), reflect.ValueOf(item)
	if from.Kind() == reflect.Pointer && from.Type() == to.Type() && from.Pointer() != to.Pointer() {
		to.Elem().Set(from.Elem())
	}
	return nil
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
