package jobs

import (
	"context"

	"app238.com/inner/modules/tasks/job"
)

// RegisterUserType is the job type that prepares a new user.
const RegisterUserType = "auth.register_user"

// RegisterUser is the payload: prepare this user for the first resource.
type RegisterUser struct{ UserRef }

type registerUser struct{ Params }

// NewRegisterUser defines the job.
func NewRegisterUser(p Params) job.Definition {
	return job.Define(job.Spec{Type: RegisterUserType, Aliases: aliases("RegisterUser"), Lane: job.SchemaLane}, registerUser{p})
}

// Execute prepares the user in the RDB engine, if one is configured.
func (j registerUser) Execute(ctx context.Context, t job.Task, p RegisterUser) error {
	if !j.RDB.Configured() {
		return nil
	}
	return j.withTenant(ctx, t, p.UserUID, false, j.RDB.Prepare)
}
