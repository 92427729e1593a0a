package jobs

import (
	"context"

	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// CreateKVType is the job type that makes a key-value namespace.
const CreateKVType = "combinator.create_kv"

// CreateKV is the payload: make the namespace of this resource.
type CreateKV struct{ Ref }

type createKV struct{ Params }

var _ job.DiscardHandler[CreateKV] = createKV{}

// NewCreateKV defines the job.
func NewCreateKV(p Params) job.Definition {
	return job.Define(job.Spec{Type: CreateKVType, Aliases: aliases("CreateKV")}, createKV{p})
}

// Execute records the namespace and marks the row once it is there.
func (j createKV) Execute(ctx context.Context, _ job.Task, p CreateKV) error {
	row, err := j.Store.Resource(ctx, p.UserUID, p.ResourceID, store.KV)
	if err != nil {
		return databaseError("reading the resource", err)
	}
	prefix, err := j.record(ctx, j.kvNamer(), p.resource(), row.Status)
	if err != nil {
		return err
	}
	if err := j.KV.Create(ctx, p.resource(), prefix); err != nil {
		return engineError(kvEngine, err)
	}
	if err := j.Store.Mark(ctx, p.UserUID, p.ResourceID, store.KV, store.Active, ""); err != nil {
		return databaseError("marking the resource", err)
	}
	return nil
}

// OnDiscarded writes the reason to the row.
func (j createKV) OnDiscarded(ctx context.Context, _ job.Task, p CreateKV, reason string) error {
	return j.Store.Mark(ctx, p.UserUID, p.ResourceID, store.KV, store.Error, reason)
}
