package jobs

import (
	"context"
	"errors"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// RemoveTenantType is the job type that drops the role and the own database of a user who is gone, which the audit queues, or what one
// who is there has no use for without an SQL schema, which the deletion of the last one queues.
const RemoveTenantType = "combinator.remove_tenant"

// RemoveTenant is the payload: drop what this user still has in the RDB engine.
type RemoveTenant struct {
	UserRef
	// Unused says that the user is there.
	Unused bool `json:"unused,omitempty"`
}

type removeTenant struct{ Params }

// NewRemoveTenant defines the job.
func NewRemoveTenant(p Params) job.Definition {
	return job.Define(job.Spec{Type: RemoveTenantType, Lane: job.SchemaLane}, removeTenant{p})
}

// Execute drops what holds nothing. It looks for the user once more, under the lease that every change of the user's things
// takes: whoever has come back by now keeps them.
func (j removeTenant) Execute(ctx context.Context, task job.Task, p RemoveTenant) error {
	var refused, failure error
	err := j.Store.WithTenant(ctx, task.ID, p.UserUID, nil, func(ctx context.Context, t store.Leased) (string, error) {
		refused, failure = nil, nil
		desired, remove := j.Store.IsReferenced, j.RDB.Remove
		if p.Unused {
			desired, remove = j.hasSchemas, j.RDB.Clear
		}
		switch isDesired, err := desired(ctx, p.UserUID); {
		case err != nil:
			return "", err
		case isDesired && p.Unused: // it is of use again
			return store.Remaining(t.Prepared, false), nil
		case isDesired:
			refused = job.NewTerminal("the user, or a SQL schema of the user, is there")
			return store.Remaining(t.Prepared, false), nil
		}
		var nothing bool
		nothing, failure = remove(ctx, j.tenant(p.UserUID, t))
		if failure != nil && !p.Unused && errors.As(failure, new(*engine.Kept)) {
			return store.Unknown, nil // the role cannot log in any more: whoever comes back is given that again
		}
		return store.Remaining(t.Prepared, nothing), failure
	})
	if err := tenantError(failure, err); err != nil {
		return err
	}
	return refused
}

func (j removeTenant) hasSchemas(ctx context.Context, userUID string) (bool, error) {
	return j.Store.HasOthers(ctx, userUID, "", store.RDB)
}
