package jobs

import (
	"context"

	"app238.com/inner/modules/combinator/internal/rows"
	"app238.com/inner/modules/tasks/job"
)

// CreateKVType is the job type that makes a key-value namespace.
const CreateKVType = "combinator.create_kv"

// CreateKV is the payload: make the namespace of this resource.
type CreateKV struct{ Ref }

type createKV struct{ Params }

// NewCreateKV defines the job.
func NewCreateKV(p Params) job.Definition {
	return job.Define(job.Spec{Type: CreateKVType, Aliases: aliases("CreateKV")}, createKV{p})
}

// Execute records the namespace and marks the row once it is there.
func (j createKV) Execute(ctx context.Context, _ job.Task, p CreateKV) error {
	row, err := j.Rows.Resource(ctx, p.UserUID, p.ResourceID, rows.KV)
	if err != nil {
		return databaseError("reading the resource", err)
	}
	prefix, isNew, err := j.record(ctx, j.kvNamer(), p.resource(), row.Status)
	if err != nil {
		return err
	}
	if err := j.KV.Create(ctx, p.resource(), prefix); err != nil {
		return j.unrecord(ctx, rows.KV, p.resource(), isNew, engineError(kvEngine, err))
	}
	if err := j.Rows.Mark(ctx, p.UserUID, p.ResourceID, rows.KV, rows.Active, ""); err != nil {
		return databaseError("marking the resource", err)
	}
	return nil
}

// GiveUp writes the reason to the row.
func (j createKV) GiveUp(ctx context.Context, _ job.Task, p CreateKV, reason string) error {
	return j.Rows.Mark(ctx, p.UserUID, p.ResourceID, rows.KV, rows.Error, reason)
}
