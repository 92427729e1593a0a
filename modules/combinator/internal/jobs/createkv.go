package jobs

import (
	"context"

	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// CreateKVType is the job type that creates a key-value namespace.
const CreateKVType = "combinator.create_kv"

// CreateKV is the payload: create the namespace of this resource.
type CreateKV struct{ Ref }

type createKV struct{ Params }

var _ job.DiscardHandler[CreateKV] = createKV{}

// NewCreateKV defines the job.
func NewCreateKV(p Params) job.Definition {
	return job.Define(job.Spec{Type: CreateKVType, Aliases: aliases("CreateKV")}, createKV{p})
}

// Execute creates the namespace and marks the row as active.
func (j createKV) Execute(ctx context.Context, _ job.Task, p CreateKV) error {
	row, err := j.Store.Resource(ctx, p.UserUID, p.ResourceID, store.KV)
	if err != nil {
		return databaseError("reading the resource", err)
	}
	prefix, isNew, err := j.recordName(ctx, j.kvNamer(), p.resource(), row.Status)
	if err != nil {
		return err
	}
	if err := j.KV.Create(ctx, p.resource(), prefix); err != nil {
		return j.discardName(ctx, store.KV, p.resource(), isNew, engineError(kvEngine, err))
	}
	if err := j.Store.SetStatus(ctx, p.UserUID, p.ResourceID, store.KV, store.Active, ""); err != nil {
		return databaseError("updating the resource", err)
	}
	return nil
}

// OnDiscarded writes the reason to the row.
func (j createKV) OnDiscarded(ctx context.Context, _ job.Task, p CreateKV, reason string) error {
	return j.Store.SetStatus(ctx, p.UserUID, p.ResourceID, store.KV, store.Error, reason)
}
