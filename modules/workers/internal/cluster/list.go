package cluster

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
)

// pageSize is the number of objects that are asked for at once.
const pageSize = 500

// The parts of a worker in the cluster whose life is in the hands of Inner's jobs. Every other object of it has the WorkerApp
// as its owner, or is held by its finalizer.
const (
	WorkerAppPart = "WorkerApp"
	SecretPart    = "Secret"
)

// Part is one object of a worker.
type Part struct {
	WorkerID, OwnerID string
	// Name is N of the contract, not the object's own name; Kind is one of the constants.
	Name, Kind string
}

// Lister lists what there is of workers, from the API server itself.
type Lister struct {
	clients   *kube.Clients
	namespace string
}

// NewLister returns a Lister.
func NewLister(clients *kube.Clients, c *config.Config) *Lister {
	return &Lister{clients: clients, namespace: c.Kubernetes.Namespaces.Worker}
}

// Parts hands every part of every worker to page. It returns nil only when all were handed over: a page that fails, or a
// continuation that expired, is an error.
func (l *Lister) Parts(ctx context.Context, page func([]Part) error) error {
	if err := l.pages(ctx, workerapp.Resource(), "", workerAppPart, page); err != nil {
		return fmt.Errorf("list WorkerApps: %w", err)
	}
	if err := l.pages(ctx, secrets(), workerapp.WorkerLabel, secretPart, page); err != nil {
		return fmt.Errorf("list Secrets: %w", err)
	}
	return nil
}

func (l *Lister) pages(ctx context.Context, resource schema.GroupVersionResource, selector string,
	read func(*unstructured.Unstructured) (Part, bool), page func([]Part) error,
) error {
	options := metav1.ListOptions{LabelSelector: selector, Limit: pageSize}
	for {
		list, err := l.clients.List(ctx, resource, l.namespace, options)
		if err != nil {
			return err
		}
		var parts []Part
		for i := range list.Items {
			if part, ours := read(&list.Items[i]); ours {
				parts = append(parts, part)
			}
		}
		if err := page(parts); err != nil {
			return err
		}
		if options.Continue = list.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

// workerAppPart takes a WorkerApp for ours when its name is the one that its ids give. One that is on its way out counts as
// there: its deletion is under way.
func workerAppPart(u *unstructured.Unstructured) (Part, bool) {
	workerID, _, workerErr := unstructured.NestedString(u.Object, "spec", "workerID")
	ownerID, _, ownerErr := unstructured.NestedString(u.Object, "spec", "ownerID")
	name := workerapp.Name(workerID, ownerID)
	ours := workerErr == nil && ownerErr == nil && u.GetName() == name
	return Part{WorkerID: workerID, OwnerID: ownerID, Name: name, Kind: WorkerAppPart}, ours
}

// secretPart takes a Secret for ours when its name is the one that its labels give.
func secretPart(u *unstructured.Unstructured) (Part, bool) {
	workerID, ownerID := u.GetLabels()[workerapp.WorkerLabel], u.GetLabels()[workerapp.OwnerLabel]
	name := workerapp.Name(workerID, ownerID)
	return Part{WorkerID: workerID, OwnerID: ownerID, Name: name, Kind: SecretPart}, u.GetName() == workerapp.SecretName(name)
}
