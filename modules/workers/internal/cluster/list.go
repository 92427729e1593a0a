package cluster

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/config"
	"app238.com/inner/app/identifier"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
)

// pageSize is the number of objects that are asked for at once.
const pageSize = 500

// The parts of a worker in the cluster whose life is in the hands of Inner's jobs. Every other object of it has the WorkerApp
// as its owner, or is held by its finalizer.
const (
	WorkerAppPart = "WorkerApp"
	// ForeignPart is a WorkerApp that was written for a version or a task that the database does not have.
	ForeignPart = "WorkerApp of another database"
	SecretPart  = "Secret"
)

// Part is one object of a worker.
type Part struct {
	WorkerID, OwnerID string
	// Name is N of the contract, not the object's own name; Kind is one of the constants.
	Name, Kind string
	// Origin is what a WorkerApp was written for.
	Origin workerapp.Origin
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
	err := pages(func(options metav1.ListOptions) ([]Part, string, error) { return l.workerApps(ctx, options) }, page)
	if err != nil {
		return fmt.Errorf("list WorkerApps: %w", err)
	}
	err = pages(func(options metav1.ListOptions) ([]Part, string, error) { return l.secrets(ctx, options) }, page)
	if err != nil {
		return fmt.Errorf("list Secrets: %w", err)
	}
	return nil
}

func pages(list func(metav1.ListOptions) (parts []Part, next string, err error), page func([]Part) error) error {
	options := metav1.ListOptions{Limit: pageSize}
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
func (l *Lister) workerApps(ctx context.Context, options metav1.ListOptions) (parts []Part, next string, err error) {
	list, err := l.clients.List(ctx, workerapp.Resource(), l.namespace, options)
	if err != nil {
		return nil, "", err
	}
	for _, item := range list.Items {
		workerID, _, workerErr := unstructured.NestedString(item.Object, "spec", "workerID")
		ownerID, _, ownerErr := unstructured.NestedString(item.Object, "spec", "ownerID")
		name := workerapp.Name(workerID, ownerID)
		if workerErr == nil && ownerErr == nil && item.GetName() == name && identifiers(workerID, ownerID) {
			parts = append(parts, Part{WorkerID: workerID, OwnerID: ownerID, Name: name, Kind: WorkerAppPart,
				Origin: workerapp.OriginOf(item.GetAnnotations())})
		}
	}
	return parts, list.GetContinue(), nil
}

// secrets takes a Secret for ours when its name is the one that its labels give.
func (l *Lister) secrets(ctx context.Context, options metav1.ListOptions) (parts []Part, next string, err error) {
	options.LabelSelector = workerapp.WorkerLabel
	list, err := l.clients.ListMetadata(ctx, secrets(), l.namespace, options)
	if err != nil {
		return nil, "", err
	}
	for _, item := range list.Items {
		workerID, ownerID := item.Labels[workerapp.WorkerLabel], item.Labels[workerapp.OwnerLabel]
		name := workerapp.Name(workerID, ownerID)
		if item.Name == workerapp.SecretName(name) && identifiers(workerID, ownerID) {
			parts = append(parts, Part{WorkerID: workerID, OwnerID: ownerID, Name: name, Kind: SecretPart})
		}
	}
	return parts, list.Continue, nil
}

func identifiers(workerID, ownerID string) bool {
	return identifier.Check("", workerID) == nil && identifier.Check("", ownerID) == nil
}
