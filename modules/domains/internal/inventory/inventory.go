// Package inventory is the inventory of custom domains for the audit.
package inventory

import (
	"context"

	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/domains/internal/cluster"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
)

// kind is the kind of the inventory.
const kind = "domain"

// Inventory implements inventory.Inventory for the objects of custom domains.
type Inventory struct {
	lister *cluster.Lister
	store  *store.Store
}

// New returns the inventories of this module.
func New(l *cluster.Lister, s *store.Store) []inventory.Inventory {
	return []inventory.Inventory{&Inventory{lister: l, store: s}}
}

// Kind implements inventory.Inventory.
func (*Inventory) Kind() string { return kind }

// ListActual implements inventory.Inventory.
func (i *Inventory) ListActual(ctx context.Context, page func([]inventory.Object) error) error {
	return i.lister.List(ctx, func(found []cluster.Object) error {
		listed := make([]inventory.Object, len(found))
		for at, o := range found {
			listed[at] = inventory.Object{Name: o.Name, Owner: o.UserUID, ID: o.CDID, Key: key(o.CDID), Parts: []string{o.Kind}}
		}
		return page(listed)
	})
}

// key is no ordering key of a task: single domains have no tasks.
func key(cdid string) string { return "domain/" + cdid }

// ListDesired implements inventory.Inventory.
func (i *Inventory) ListDesired(ctx context.Context, after int64, limit int) ([]inventory.Desired, error) {
	rows, err := i.store.InventoryRows(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	desired := make([]inventory.Desired, len(rows))
	for at, r := range rows {
		desired[at] = inventory.Desired{
			Row: r.ID, Name: objects.Name(r.CDID), Owner: r.UserUID, ID: r.CDID, Key: key(r.CDID), Since: r.Since,
		}
		if r.Served {
			// A cluster without cert-manager has no Certificates, which the domain's own status shows.
			desired[at].Needs = []string{objects.Services().Name, objects.Routes().Name}
		}
	}
	return desired, nil
}

// Repair implements inventory.Inventory: every process reconciles the domain's objects again.
func (i *Inventory) Repair(ctx context.Context, desired inventory.Desired, drift inventory.Drift) error {
	if len(drift.Missing) == 0 {
		return nil
	}
	return i.store.Touch(ctx, desired.ID)
}

// Delete implements inventory.Inventory: it records the domain as one without a row, whose objects the reconcile deletes.
func (i *Inventory) Delete(ctx context.Context, object inventory.Object) error {
	added, err := i.store.AddOrphan(ctx, object.ID, object.Name, object.Owner)
	if err == nil && !added {
		return inventory.ErrReferenced
	}
	return err
}
