package jobs

import (
	"context"
	"errors"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// RemoveTenantType is the job type that drops the role and the own database of a deleted user, queued by the audit, or those
// that an existing user no longer needs, queued by the deletion of the last SQL schema.
const RemoveTenantType = "combinator.remove_tenant"

// RemoveTenant is the payload: drop what this user still has in the RDB engine.
type RemoveTenant struct {
	UserRef
	// Unused is true when the user exists and has no SQL schema left.
	Unused bool `json:"unused,omitempty"`
}

type removeTenant struct{ Params }

// NewRemoveTenant defines the job.
func NewRemoveTenant(p Params) job.Definition {
	return job.Define(job.Spec{Type: RemoveTenantType, Lane: job.SchemaLane}, removeTenant{p})
}

// Execute drops the role and the database when they are empty. It checks for the user again, under the lease that every
// change of the user takes: a user who was created again keeps them.
func (j removeTenant) Execute(ctx context.Context, task job.Task, p RemoveTenant) error {
	var stillReferenced, failure error
	err := j.Store.WithTenant(ctx, task.ID, p.UserUID, nil, func(ctx context.Context, t store.LeasedTenant) (string, error) {
		stillReferenced, failure = nil, nil
		isDesired, remove := j.Store.IsTenantReferenced, j.RDB.Remove
		if p.Unused {
			isDesired, remove = j.hasSchemas, j.RDB.Cleanup
		}
		switch keep, err := isDesired(ctx, p.UserUID); {
		case err != nil:
			return "", err
		case keep && p.Unused: // the user has a schema again
			return store.PreparedAfterRemoval(t.Prepared, false), nil
		case keep:
			stillReferenced = job.NewTerminal("the user, or a SQL schema of the user, exists")
			return store.PreparedAfterRemoval(t.Prepared, false), nil
		}
		var empty bool
		empty, failure = remove(ctx, j.tenant(p.UserUID, t))
		if failure != nil && !p.Unused && errors.As(failure, new(*engine.DependencyError)) {
			return store.PreparedUnknown, nil // the role's login is disabled: a user who is created again must be prepared again
		}
		return store.PreparedAfterRemoval(t.Prepared, empty), failure
	})
	switch {
	case failure != nil:
		return engineError(rdbEngine, failure)
	case err != nil:
		return leaseError(err)
	}
	return stillReferenced
}

func (j removeTenant) hasSchemas(ctx context.Context, userUID string) (bool, error) {
	return j.Store.HasOthers(ctx, userUID, "", store.RDB)
}
