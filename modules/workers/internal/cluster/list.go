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

	"app238.com/inner/app/config"
	"app238.com/inner/app/identifier"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
)

// pageSize is the number of objects that are asked for at once.
const pageSize = 500

// The two kinds of part beside workerapp.Objects, whose parts are named by their kind.
const (
	WorkerAppPart = "WorkerApp"
	// ForeignPart is a WorkerApp that was written for a version or a task that the database does not have.
	OtherDatabasePart = "WorkerApp of another database"
)

// Part is one object of a worker.
type Part struct {
	WorkerID, OwnerID string
	// Name is N of the contract, not the object's own name.
	Name, Kind string
	// Origin is what a WorkerApp was written for.
	Origin workerapp.Origin
	// Ref is where the object is.
	Ref kube.Ref
	// Deleting is true while it is on its way out, which those Finalizers hold up.
	Deleting   bool
	Finalizers []string
}

// Lister lists what there is of workers, from the API server itself.
type Lister struct {
	clients    *kube.Clients
	domain     string
	namespaces config.Namespaces
}

// NewLister returns a Lister.
func NewLister(clients *kube.Clients, c *config.Config) *Lister {
	return &Lister{clients: clients, domain: c.Domain, namespaces: c.Kubernetes.Namespaces}
}

// Parts hands every part of every worker to page. It returns nil only when all were handed over: a page that fails, or a
// continuation that expired, is an error.
func (l *Lister) List(ctx context.Context, page func([]Part) error) error {
	err := forEachPage("", l.workerAppPages(ctx), page)
	if err != nil {
		return fmt.Errorf("list WorkerApps: %w", err)
	}
	return l.workerObjects(ctx, workerapp.WorkerLabel, func(parts []Part) error {
		return page(slices.DeleteFunc(parts, func(p Part) bool {
			return workerapp.Name(p.WorkerID, p.OwnerID) != p.Name || !validIDs(p.WorkerID, p.OwnerID)
		}))
	})
}

// of returns every part of one worker beside its WorkerApp.
func (l *Lister) listWorker(ctx context.Context, workerID, ownerID string) (all []Part, err error) {
	selector := metav1.FormatLabelSelector(metav1.SetAsLabelSelector(workerapp.Labels(workerID, ownerID)))
	err = l.workerObjects(ctx, selector, func(parts []Part) error {
		all = append(all, parts...)
		return nil
	})
	return all, err
}

// objects hands over what of the selected objects Inner made, kind after kind.
func (l *Lister) workerObjects(ctx context.Context, selector string, page func([]Part) error) error {
	unmanaged := map[string]bool{}
	for _, kind := range workerapp.Objects() {
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

// items returns a page of objects of one kind: what tells whose they are, and of those that may hold a secret no more than that.
func (l *Lister) listItems(ctx context.Context, kind workerapp.Object, options metav1.ListOptions) (items []metav1.Object, next string, err error) {
	if kind.Ingress || kind.Kind == serviceKind {
		list, err := l.clients.List(ctx, kind.Resource, l.namespace(kind), options)
		if apierrors.IsNotFound(err) {
			return nil, "", nil // the cluster does not know the kind
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

func (l *Lister) namespace(kind workerapp.Object) string {
	if kind.Ingress {
		return l.namespaces.Ingress
	}
	return l.namespaces.Worker
}

func partOf(kind string, resource schema.GroupVersionResource, item metav1.Object) Part {
	workerID, ownerID := workerapp.IDs(item)
	return Part{
		WorkerID: workerID, OwnerID: ownerID, Name: item.GetLabels()[workerapp.AppLabel], Kind: kind,
		Ref:      kube.Ref{Resource: resource, Namespace: item.GetNamespace(), Name: item.GetName()},
		Deleting: item.GetDeletionTimestamp() != nil, Finalizers: item.GetFinalizers(),
	}
}

func forEachPage(selector string, list func(metav1.ListOptions) (parts []Part, next string, err error), page func([]Part) error) error {
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

// workerApps takes a WorkerApp for ours when its name is the one that its ids give. One that is on its way out counts as
// there: its deletion is under way.
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

// ours tells whether Inner made an object that carries a worker's labels: others copy labels, and another platform may have the
// same names in a shared ingress namespace. There a Service says by its target whose it is, and so whose the route of its name is; the
// names of workers whose Service is another's are kept in others, until the routes come.
func (l *Lister) isManaged(kind workerapp.Object, item metav1.Object, unmanaged map[string]bool) bool {
	n := item.GetLabels()[workerapp.AppLabel]
	if n == "" || !kind.Named(item.GetName(), n) {
		return false
	}
	u, ok := item.(*unstructured.Unstructured)
	switch {
	case !ok:
		return true
	case !kind.Ingress: // a Service, which has the worker's own name where an earlier release made it, or a user for himself
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

// serves tells whether a route is for a host of this platform's domain.
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
