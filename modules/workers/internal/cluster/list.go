package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/app/config"
	"app238.com/inner/app/identifier"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
)

// pageSize is the number of objects per list request.
const pageSize = 500

// Kinds of parts besides those of workerapp.Objects, which are named by their kind.
const (
	WorkerAppPart = "WorkerApp"
	// OtherDatabasePart is a WorkerApp that was written for a version or a task that the database does not have.
	OtherDatabasePart = "WorkerApp of another database"
)

// Part is one object of a worker.
type Part struct {
	WorkerID, OwnerID string
	// Name is the name shared by all objects of the worker (N in the contract), not the object's own name.
	Name, Kind string
	// Origin names the version and the task of a WorkerApp.
	Origin workerapp.Origin
	// Ref is the object's resource, namespace and name.
	Ref kube.Ref
	// UID and resourceVersion are of the object as it was read.
	UID             types.UID
	resourceVersion string
	// Deleting is true once the object has a deletion timestamp; Finalizers are the finalizers that remain.
	Deleting   bool
	Finalizers []string
}

// Lister lists the objects of workers, from the API server and not from a cache.
type Lister struct {
	clients    *kube.Clients
	domain     string
	namespaces config.Namespaces
}

// NewLister returns a Lister.
func NewLister(clients *kube.Clients, c *config.Config) *Lister {
	return &Lister{clients: clients, domain: c.Domain, namespaces: c.Kubernetes.Namespaces}
}

// List calls page with every part of every worker. It returns nil only after a complete list: a page that fails, or an
// expired continue token, is an error.
func (l *Lister) List(ctx context.Context, page func([]Part) error) error {
	err := forEachPage("", l.workerAppPages(ctx), page)
	if err != nil {
		return fmt.Errorf("list WorkerApps: %w", err)
	}
	return l.listObjects(ctx, workerapp.WorkerLabel, func(parts []Part) error {
		return page(slices.DeleteFunc(parts, func(p Part) bool {
			return workerapp.Name(p.WorkerID, p.OwnerID) != p.Name || !validIDs(p.WorkerID, p.OwnerID)
		}))
	})
}

// listWorker returns every part of one worker except its WorkerApp.
func (l *Lister) listWorker(ctx context.Context, workerID, ownerID string) (all []Part, err error) {
	selector := metav1.FormatLabelSelector(metav1.SetAsLabelSelector(workerapp.Labels(workerID, ownerID)))
	err = l.listObjects(ctx, selector, func(parts []Part) error {
		all = append(all, parts...)
		return nil
	})
	return all, err
}

// listObjects calls page with the selected objects that Inner manages, kind by kind.
func (l *Lister) listObjects(ctx context.Context, selector string, page func([]Part) error) error {
	unmanaged := map[string]bool{}
	for _, kind := range workerapp.ChildKinds() {
		err := forEachPage(selector, func(options metav1.ListOptions) (parts []Part, next string, err error) {
			items, next, err := l.listItems(ctx, kind, options)
			for _, item := range items {
				if l.isManaged(kind, item, unmanaged) {
					parts = append(parts, partOf(kind.Kind, kind.Resource, item))
				}
			}
			return parts, next, err
		}, page)
		if err != nil {
			return fmt.Errorf("list every %s: %w", kind.Kind, err)
		}
	}
	return nil
}

// listItems returns a page of objects of one kind. Of kinds that may hold secrets it reads only the metadata.
func (l *Lister) listItems(
	ctx context.Context, kind workerapp.ChildKind, options metav1.ListOptions,
) (items []metav1.Object, next string, err error) {
	if kind.Ingress || kind.Kind == serviceKind {
		list, err := l.clients.List(ctx, kind.Resource, l.namespace(kind), options)
		if apierrors.IsNotFound(err) {
			return nil, "", nil // the cluster does not have the kind
		}
		if err != nil {
			return nil, "", err
		}
		for i := range list.Items {
			items = append(items, &list.Items[i])
		}
		return items, list.GetContinue(), nil
	}
	list, err := l.clients.ListMetadata(ctx, kind.Resource, l.namespace(kind), options)
	if err != nil {
		return nil, "", err
	}
	for i := range list.Items {
		items = append(items, &list.Items[i])
	}
	return items, list.Continue, nil
}

func (l *Lister) namespace(kind workerapp.ChildKind) string {
	if kind.Ingress {
		return l.namespaces.Ingress
	}
	return l.namespaces.Worker
}

func partOf(kind string, resource schema.GroupVersionResource, item metav1.Object) Part {
	workerID, ownerID := workerapp.IDs(item)
	return Part{
		WorkerID: workerID, OwnerID: ownerID, Name: item.GetLabels()[workerapp.AppLabel], Kind: kind,
		Ref: kube.Ref{Resource: resource, Namespace: item.GetNamespace(), Name: item.GetName()},
		UID: item.GetUID(), resourceVersion: item.GetResourceVersion(),
		Deleting: item.GetDeletionTimestamp() != nil, Finalizers: item.GetFinalizers(),
	}
}

func forEachPage(
	selector string, list func(metav1.ListOptions) (parts []Part, next string, err error), page func([]Part) error,
) error {
	options := metav1.ListOptions{Limit: pageSize, LabelSelector: selector}
	for {
		parts, next, err := list(options)
		if err != nil {
			return err
		}
		if err := page(parts); err != nil {
			return err
		}
		if next == "" {
			return nil
		}
		options.Continue = next
	}
}

// workerAppPages lists the WorkerApps whose names are built from their ids. A WorkerApp that is being deleted is listed as
// existing.
func (l *Lister) workerAppPages(ctx context.Context) func(metav1.ListOptions) (parts []Part, next string, err error) {
	return func(options metav1.ListOptions) (parts []Part, next string, err error) {
		list, err := l.clients.List(ctx, workerapp.Resource(), l.namespaces.Worker, options)
		if err != nil {
			return nil, "", err
		}
		for _, item := range list.Items {
			workerID, _, workerErr := unstructured.NestedString(item.Object, "spec", "workerID")
			ownerID, _, ownerErr := unstructured.NestedString(item.Object, "spec", "ownerID")
			name := workerapp.Name(workerID, ownerID)
			if workerErr == nil && ownerErr == nil && item.GetName() == name && validIDs(workerID, ownerID) {
				parts = append(parts, Part{WorkerID: workerID, OwnerID: ownerID, Name: name, Kind: WorkerAppPart,
					Origin: workerapp.OriginOf(item.GetAnnotations())})
			}
		}
		return parts, list.GetContinue(), nil
	}
}

func validIDs(workerID, ownerID string) bool {
	return identifier.Check("", workerID) == nil && identifier.Check("", ownerID) == nil
}

const serviceKind = "Service"

// isManaged reports whether Inner made an object that carries a worker's labels. Users may copy labels, and another platform
// may use the same names in a shared ingress namespace. There the target of a Service tells which platform it belongs to,
// and with it the route of the same name; unmanaged holds the names of the workers whose Service is another platform's, for
// the routes that are listed later.
func (l *Lister) isManaged(kind workerapp.ChildKind, item metav1.Object, unmanaged map[string]bool) bool {
	n := item.GetLabels()[workerapp.AppLabel]
	if n == "" || !kind.Named(item.GetName(), n) {
		return false
	}
	u, ok := item.(*unstructured.Unstructured)
	switch {
	case !ok:
		return true
	case !kind.Ingress: // an earlier release made a headless Service of this name; users may make others
		return item.GetName() != n || specField(u, "clusterIP") == corev1.ClusterIPNone
	case kind.Kind == serviceKind:
		if strings.HasSuffix(specField(u, "externalName"), workerapp.ServiceSuffix(l.namespaces.Worker)) {
			return true
		}
		unmanaged[n] = true
		return false
	}
	return !unmanaged[n] && l.routesPlatformHost(u, n)
}

func specField(u *unstructured.Unstructured, name string) string {
	value, _, err := unstructured.NestedString(u.Object, "spec", name)
	if err != nil {
		return ""
	}
	return value
}

// routesPlatformHost reports whether a route matches the worker's host in this platform's domain.
func (l *Lister) routesPlatformHost(route *unstructured.Unstructured, n string) bool {
	rules, _, err := unstructured.NestedSlice(route.Object, "spec", "routes")
	if err != nil {
		return false
	}
	for _, rule := range rules {
		if rule, ok := rule.(map[string]any); ok {
			if match, ok := rule["match"].(string); ok && strings.Contains(match, "`"+workerapp.Host(n, l.domain)+"`") {
				return true
			}
		}
	}
	return false
}
