package jobs

import (
	"context"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// DeleteRDBType is the job type that drops a SQL schema.
const DeleteRDBType = "combinator.delete_rdb"

// DeleteRDB is the payload: drop the schema of this resource with its content.
type DeleteRDB struct{ Ref }

type deleteRDB struct{ Params }

// NewDeleteRDB defines the job.
func NewDeleteRDB(p Params) job.Definition {
	return job.Define(job.Spec{Type: DeleteRDBType, Aliases: aliases("DeleteRDB"), Lane: job.SchemaLane}, deleteRDB{p})
}

// Execute drops the schema and has the pods told. The row is gone by now; what is recorded, or else the name, says which
// schema it is, and its mark whose.
func (j deleteRDB) Execute(ctx context.Context, task job.Task, p DeleteRDB) error {
	others, err := j.Store.HasOthers(ctx, p.UserUID, p.ResourceID, store.RDB)
	if err != nil {
		return databaseError("looking for the user's resources", err)
	}
	name, err := j.locate(ctx, j.rdbNamer(), p.resource())
	if err != nil {
		return err
	}
	var nothing bool
	var failure error
	err = j.Store.WithTenant(ctx, task.ID, p.UserUID, nil, func(ctx context.Context, t store.Leased) (string, error) {
		nothing, failure = j.RDB.Delete(ctx, j.tenant(p.UserUID, t), p.resource(), name, !others)
		return store.Remaining(t.Prepared, nothing), failure
	})
	if err := tenantError(failure, err); err != nil {
		return err
	}
	if err := j.gone(ctx, store.RDB, p.resource()); err != nil || others || nothing {
		return err
	}
	// By a task of its own: whatever holds that up, the pods are told now, and once.
	if _, err := j.Queue.Accept(ctx, RemoveTenantType, RemoveTenant{UserRef: UserRef{UserUID: p.UserUID}, Unused: true}); err != nil {
		return databaseError("removing what the user has no use for", err)
	}
	return nil
}

// gone forgets where a resource was, marks a row that should not be there any more, and has the pods told.
func (p Params) gone(ctx context.Context, kind string, r engine.Resource) error {
	if err := p.Store.ForgetPlace(ctx, kind, r); err != nil {
		return databaseError("forgetting where the resource was", err)
	}
	if err := p.Store.Mark(ctx, r.UserUID, r.ResourceID, kind, store.Error, "the resource was deleted"); err != nil {
		return databaseError("marking the resource", err)
	}
	notice := NotifyPods{Ref: Ref{UserUID: r.UserUID, ResourceID: r.ResourceID}, ResourceType: kind}
	if _, err := p.Queue.Accept(ctx, NotifyPodsType, notice); err != nil {
		return databaseError("telling the Combinator pods", err)
	}
	return nil
}
