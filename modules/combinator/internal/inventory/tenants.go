package inventory

import (
	"context"

	"app238.com/inner/ent"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// tenantsPageSize is the number of users per query of the engine.
const tenantsPageSize = 500

// Tenants implements inventory.Inventory for users' roles and databases in the RDB engine.
type Tenants struct {
	rdb   engine.RDB
	store *store.Store
	queue job.Queue
}

// Kind implements inventory.Inventory.
func (t *Tenants) Kind() string { return "tenant" }

// ListActual implements inventory.Inventory. The users are those of combinator_tenants: a user's row is inserted before the
// first object is created and deleted after the last one is dropped. The engine tells which of the objects exist, and which
// are another platform's. Objects of an earlier release have no mark and are this platform's when the user exists.
func (t *Tenants) ListActual(ctx context.Context, page func([]inventory.Object) error) error {
	for after := ""; ; {
		known, err := t.store.ListTenants(ctx, after, tenantsPageSize)
		if err != nil || len(known) == 0 {
			return err
		}
		tenants := make([]engine.Tenant, len(known))
		for i, one := range known {
			names := t.rdb.TenantNames(one.UserUID).WithRecorded(one.Names)
			tenants[i] = engine.Tenant{UserUID: one.UserUID, Names: names, Owned: one.Owned || one.Exists}
			after = one.UserUID
		}
		parts, err := t.rdb.ActualParts(ctx, tenants)
		if err != nil {
			return err
		}
		objects := make([]inventory.Object, 0, len(parts))
		for _, one := range tenants {
			uid := one.UserUID
			if len(parts[uid]) > 0 {
				objects = append(objects, inventory.Object{
					Name: t.name(uid), Owner: uid, ID: uid, Key: jobs.TenantKey(uid), Parts: parts[uid],
				})
			}
		}
		if err := page(objects); err != nil {
			return err
		}
	}
}

// name returns the name of a user's role, or else of the own database.
func (t *Tenants) name(userUID string) string {
	name := t.rdb.TenantNames(userUID)
	if name.Role != "" {
		return name.Role
	}
	return name.Database
}

// ListDesired implements inventory.Inventory. Every user may have a role and a database; a user with an active SQL resource
// must.
func (t *Tenants) ListDesired(ctx context.Context, after int64, limit int) ([]inventory.Desired, error) {
	found, err := t.store.ListOwners(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	desired := make([]inventory.Desired, len(found))
	for i, o := range found {
		desired[i] = inventory.Desired{
			Row: o.ID, Name: t.name(o.UserUID), Owner: o.UserUID, ID: o.UserUID, Key: jobs.TenantKey(o.UserUID),
			Since: o.CreatedAt.UTC(),
		}
		if o.Active {
			desired[i].Needs = append(t.rdb.DesiredParts(), engine.MarkPart)
		}
	}
	return desired, nil
}

// Repair implements inventory.Inventory: it queues the creation of each of the user's schemas, which for an existing schema
// only restores the rights of the role.
func (t *Tenants) Repair(ctx context.Context, desired inventory.Desired, _ inventory.Drift) error {
	return t.inTx(ctx, desired.Owner, func(ctx context.Context, tx *ent.Tx, _ bool, active []string) error {
		for _, id := range active {
			payload := jobs.CreateRDB{Ref: jobs.Ref{UserUID: desired.Owner, ResourceID: id}, Name: new(string)}
			if _, err := t.queue.Enqueue(ctx, tx, jobs.CreateRDBType, payload); err != nil {
				return err
			}
		}
		return nil
	})
}

// Delete implements inventory.Inventory.
func (t *Tenants) Delete(ctx context.Context, object inventory.Object) error {
	return t.inTx(ctx, object.Owner, func(ctx context.Context, tx *ent.Tx, isReferenced bool, _ []string) error {
		if isReferenced {
			return inventory.ErrReferenced
		}
		_, err := t.queue.Enqueue(ctx, tx, jobs.RemoveTenantType, jobs.RemoveTenant{UserRef: jobs.UserRef{UserUID: object.Owner}})
		return err
	})
}

func (t *Tenants) inTx(ctx context.Context, userUID string, work func(context.Context, *ent.Tx, bool, []string) error) error {
	err := t.store.InTxWithTenant(ctx, userUID, work)
	if err == nil {
		t.queue.Notify()
	}
	return err
}
