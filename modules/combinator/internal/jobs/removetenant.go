package jobs

import (
	"context"

	"app238.com/inner/modules/combinator/internal/rows"
	"app238.com/inner/modules/tasks/job"
)

// RemoveTenantType is the job type that drops the role and the own database of a user who is gone. The audit queues it.
const RemoveTenantType = "combinator.remove_tenant"

// RemoveTenant is the payload: drop what this user still has in the RDB engine.
type RemoveTenant struct{ UserRef }

type removeTenant struct{ Params }

// NewRemoveTenant defines the job.
func NewRemoveTenant(p Params) job.Definition {
	return job.Define(job.Spec{Type: RemoveTenantType, Lane: job.SchemaLane}, removeTenant{p})
}

// Execute drops what holds nothing. It looks for the user once more, under the lease that every change of the user's things
// takes: whoever has come back by now keeps them.
func (j removeTenant) Execute(ctx context.Context, task job.Task, p RemoveTenant) error {
	var refused, failure error
	err := j.Rows.WithTenant(ctx, task.ID, p.UserUID, nil, func(ctx context.Context, t rows.Leased) (string, error) {
		refused, failure = nil, nil
		wished, err := j.Rows.Wished(ctx, p.UserUID)
		if err != nil {
			return "", err
		}
		if wished {
			refused = job.NewPermanent("the user, or a SQL schema of the user, is there")
			return rows.Remaining(t.Prepared, false), nil
		}
		var nothing bool
		nothing, failure = j.RDB.Remove(ctx, j.tenant(p.UserUID, t))
		return rows.Remaining(t.Prepared, nothing), failure
	})
	if err := tenantError(failure, err); err != nil {
		return err
	}
	return refused
}

// GiveUp has no row to write to: the user is gone, and the next audit sees what is left.
func (j removeTenant) GiveUp(context.Context, job.Task, RemoveTenant, string) error { return nil }
