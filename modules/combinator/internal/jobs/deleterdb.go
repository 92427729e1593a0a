package jobs

import (
	"context"
	"errors"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// DeleteRDBType is the job type that drops a SQL schema.
const DeleteRDBType = "combinator.delete_rdb"

// DeleteRDB is the payload: drop the schema of this resource with its content.
type DeleteRDB struct{ Removal }

type deleteRDB struct{ Params }

// NewDeleteRDB defines the job.
func NewDeleteRDB(p Params) job.Definition {
	return job.Define(job.Spec{Type: DeleteRDBType, Aliases: aliases("DeleteRDB"), Lane: job.SchemaLane}, deleteRDB{p})
}

// Execute drops the schema and queues the notice to the pods. The row is deleted already; the recorded name, or else the
// template, identifies the schema, and its mark reports whether it is this platform's.
func (j deleteRDB) Execute(ctx context.Context, task job.Task, p DeleteRDB) error {
	others, err := j.Store.HasOthers(ctx, p.UserUID, p.ResourceID, store.RDB)
	if err != nil {
		return databaseError("reading the user's resources", err)
	}
	name, err := j.resolveName(ctx, j.rdbNamer(), p.resource())
	if err != nil {
		return err
	}
	var empty, kept bool
	var failure error
	err = j.Store.WithTenant(ctx, task.ID, p.UserUID, nil, func(ctx context.Context, t store.LeasedTenant) (_ string, err error) {
		if kept, err = j.isKept(ctx, store.RDB, p.Removal); err != nil || kept {
			return store.PreparedAfterRemoval(t.Prepared, false), err
		}
		empty, failure = j.RDB.Delete(ctx, j.tenant(p.UserUID, t), p.resource(), name, !others)
		return store.PreparedAfterRemoval(t.Prepared, empty), failure
	})
	switch {
	case failure != nil:
		return engineError(rdbEngine, failure)
	case err != nil:
		return leaseError(err)
	case kept:
		return errReferenced()
	}
	if err := j.completeDeletion(ctx, store.RDB, p.resource()); err != nil || others || empty {
		return err
	}
	// A task of its own does this: the pods are notified now, and once, whatever delays the rest.
	cleanup := RemoveTenant{UserRef: UserRef{UserUID: p.UserUID}, Unused: true}
	if _, err := j.Queue.Accept(ctx, RemoveTenantType, cleanup); err != nil {
		return databaseError("queueing the removal of the unused role and database", err)
	}
	return nil
}

// isKept reports whether an orphan has a row again.
func (p Params) isKept(ctx context.Context, kind string, r Removal) (bool, error) {
	if !r.Orphan {
		return false, nil
	}
	_, err := p.Store.Resource(ctx, r.UserUID, r.ResourceID, kind)
	if errors.Is(err, store.ErrNoResource) {
		return false, nil
	}
	return err == nil, err
}

// completeDeletion deletes the recorded name of a resource, marks a row that still exists, and queues the notice to the
// pods.
func (p Params) completeDeletion(ctx context.Context, kind string, r engine.Resource) error {
	if err := p.Store.DeleteName(ctx, kind, r); err != nil {
		return databaseError("deleting the resource's name", err)
	}
	if err := p.Store.SetStatus(ctx, r.UserUID, r.ResourceID, kind, store.Error, "the resource was deleted"); err != nil {
		return databaseError("updating the resource", err)
	}
	notice := NotifyPods{Ref: Ref{UserUID: r.UserUID, ResourceID: r.ResourceID}, ResourceType: kind}
	if _, err := p.Queue.Accept(ctx, NotifyPodsType, notice); err != nil {
		return databaseError("queueing the notice to the Combinator pods", err)
	}
	return nil
}
