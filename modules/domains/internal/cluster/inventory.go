package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
)

// inventoryKind names the kind of the audit.
const inventoryKind = "domain"

// Inventory implements inventory.Inventory for the objects of custom domains.
type Inventory struct {
	clients   *kube.Clients
	config    *config.Config
	namespace string
	store     *store.Store
}

// NewInventories returns the inventories of this module.
func NewInventories(c *config.Config, clients *kube.Clients, s *store.Store) []inventory.Inventory {
	return []inventory.Inventory{&Inventory{clients: clients, config: c, namespace: c.Kubernetes.Namespaces.Ingress, store: s}}
}

// Kind implements inventory.Inventory.
func (*Inventory) Kind() string { return inventoryKind }

// World implements inventory.Inventory. A kind that the cluster does not know has no objects.
func (i *Inventory) ListActual(ctx context.Context, page func([]inventory.Object) error) error {
	for _, kind := range objects.Kinds() {
		if err := i.list(ctx, kind, page); err != nil {
			return fmt.Errorf("list every %s: %w", kind.Name, err)
		}
	}
	return nil
}

// list hands over the objects of one kind. A list that changed under its pages ends in an error of the API server.
func (i *Inventory) list(ctx context.Context, kind objects.Kind, page func([]inventory.Object) error) error {
	options := metav1.ListOptions{LabelSelector: objects.AppLabel + "=" + objects.App, Limit: pageSize}
	for {
		list, err := i.page(ctx, kind, options)
		if apierrors.IsNotFound(err) && options.Continue == "" {
			return nil
		}
		if err != nil {
			return err
		}
		var found []inventory.Object
		for at := range list.Items {
			if o, ours := i.thing(kind, &list.Items[at]); ours {
				found = append(found, o)
			}
		}
		if len(found) > 0 {
			if err := page(found); err != nil {
				return err
			}
		}
		if options.Continue = list.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

func (i *Inventory) page(ctx context.Context, kind objects.Kind, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	ctx, cancel := context.WithTimeout(ctx, i.config.Kubernetes.Timeout)
	defer cancel()
	return i.clients.Dynamic.Resource(kind.Resource).Namespace(i.namespace).List(ctx, options)
}

// thing returns what an object is a part of, where it carries this platform's mark and the name that Inner gives to the domain
// that it names. What an earlier release made gets its mark with the first reconcile, if a row is about it.
func (i *Inventory) thing(kind objects.Kind, u *unstructured.Unstructured) (o inventory.Object, ours bool) {
	cdid, user := u.GetAnnotations()[objects.IDAnnotation], u.GetAnnotations()[objects.UserAnnotation]
	if cdid == "" || objects.Name(cdid) != u.GetName() || u.GetAnnotations()[objects.PlatformAnnotation] != i.config.PlatformMark() {
		return o, false
	}
	return inventory.Object{Name: u.GetName(), Owner: user, ID: cdid, Key: key(cdid), Parts: []string{kind.Name}}, true
}

// key is no task's: domains are looked after without tasks of their own.
func key(cdid string) string { return "domain/" + cdid }

// Rows implements inventory.Inventory.
func (i *Inventory) ListDesired(ctx context.Context, after int64, limit int) ([]inventory.Desired, error) {
	rows, err := i.store.Justified(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	desired := make([]inventory.Desired, len(rows))
	for at, r := range rows {
		desired[at] = inventory.Desired{Row: r.ID, Name: objects.Name(r.CDID), Owner: r.UserUID, ID: r.CDID, Key: key(r.CDID), Since: r.Since}
		if r.Served {
			// A Certificate may be impossible here, and is told of elsewhere.
			desired[at].Needs = []string{objects.Services().Name, objects.Routes().Name}
		}
	}
	return desired, nil
}

// Repair implements inventory.Inventory: every process looks at the domain's objects again.
func (i *Inventory) Repair(ctx context.Context, desired inventory.Desired, fault inventory.Drift) error {
	if len(fault.Missing) == 0 {
		return nil
	}
	return i.store.Touch(ctx, desired.ID)
}

// Delete implements inventory.Inventory: the domain is noted as one whose row is gone, and goes as all those do.
func (i *Inventory) Delete(ctx context.Context, object inventory.Object) error {
	taken, err := i.store.AddOrphan(ctx, object.ID, object.Name, object.Owner)
	if err == nil && !taken {
		return inventory.ErrReferenced
	}
	return err
}
