package jobs

import (
	"context"

	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// DeleteKVType is the job type that deletes a key-value namespace.
const DeleteKVType = "combinator.delete_kv"

// DeleteKV is the payload: delete the namespace of this resource with its keys.
type DeleteKV struct{ Removal }

type deleteKV struct{ Params }

// NewDeleteKV defines the job.
func NewDeleteKV(p Params) job.Definition {
	return job.Define(job.Spec{Type: DeleteKVType, Aliases: aliases("DeleteKV")}, deleteKV{p})
}

// Execute deletes the keys and queues the notice to the pods. Keys that pods write until then are swept later.
func (j deleteKV) Execute(ctx context.Context, _ job.Task, p DeleteKV) error {
	prefix, err := j.resolveName(ctx, j.kvNamer(), p.resource())
	if err != nil {
		return err
	}
	switch kept, err := j.isKept(ctx, store.KV, p.Removal); {
	case err != nil:
		return databaseError("reading the resource", err)
	case kept:
		return errReferenced()
	}
	if err := j.KV.Delete(ctx, p.resource(), prefix); err != nil {
		return engineError(kvEngine, err)
	}
	return j.completeDeletion(ctx, store.KV, p.resource())
}
