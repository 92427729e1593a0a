package jobs

import (
	"context"
	"errors"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/rows"
	"app238.com/inner/modules/tasks/job"
)

// CreateRDBType is the job type that makes a SQL schema.
const CreateRDBType = "combinator.create_rdb"

// CreateRDB is the payload: make the schema of this resource.
type CreateRDB struct {
	Ref
	// Name is what the user calls the resource. No name in the engine is made of it.
	Name *string `json:"name"`
}

// UnmarshalJSON decodes both parts: the embedded one's own method would leave the name out.
func (c *CreateRDB) UnmarshalJSON(data []byte) error {
	var sent struct {
		Name *string `json:"name"`
	}
	err := unmarshalBoth(data, &c.Ref, &sent)
	c.Name = sent.Name
	return err
}

// Validate checks the ids, and that there is a name.
func (c CreateRDB) Validate() error {
	if c.Name == nil {
		return errors.New("name: required")
	}
	return c.Ref.Validate()
}

type createRDB struct {
	Params
	limit int
}

// NewCreateRDB defines the job.
func NewCreateRDB(p Params, c *config.Config) job.Definition {
	return job.Define(job.Spec{Type: CreateRDBType, Aliases: aliases("CreateRDB"), Lane: job.SchemaLane},
		createRDB{Params: p, limit: c.Combinator.RDB.SchemasPerUser})
}

// Execute makes what is missing and marks the row once everything is there.
func (j createRDB) Execute(ctx context.Context, t job.Task, p CreateRDB) error {
	row, err := j.Rows.Resource(ctx, p.UserUID, p.ResourceID, rows.RDB)
	if err != nil {
		return databaseError("reading the resource", err)
	}
	if j.limit > 0 {
		earlier, err := j.Rows.Earlier(ctx, row)
		if err != nil {
			return databaseError("counting the user's resources", err)
		}
		if earlier >= j.limit {
			return job.NewPermanent("a user may have %d SQL schemas", j.limit)
		}
	}
	name, isNew, err := j.record(ctx, j.rdbNamer(), p.resource(), row.Status)
	if err != nil {
		return err
	}
	err = j.withTenant(ctx, t, p.UserUID, false, func(ctx context.Context, tenant engine.Tenant) error {
		return j.RDB.Create(ctx, tenant, p.resource(), name)
	})
	if err != nil {
		return j.unrecord(ctx, rows.RDB, p.resource(), isNew, err)
	}
	if err := j.Rows.Mark(ctx, p.UserUID, p.ResourceID, rows.RDB, rows.Active, ""); err != nil {
		return databaseError("marking the resource", err)
	}
	return nil
}

// GiveUp writes the reason to the row.
func (j createRDB) GiveUp(ctx context.Context, _ job.Task, p CreateRDB, reason string) error {
	return j.Rows.Mark(ctx, p.UserUID, p.ResourceID, rows.RDB, rows.Error, reason)
}

// withTenant runs work on a user of the RDB engine while no other process does, and notes what the user's role was given. With renew
// the role is to be given it again.
func (p Params) withTenant(ctx context.Context, t job.Task, userUID string, renew bool, work func(ctx context.Context, tenant engine.Tenant) error) error {
	key, err := p.Rows.SecretKey(ctx, userUID)
	if err != nil {
		return databaseError("reading the user", err)
	}
	desired, place := p.RDB.Fingerprint(key), p.RDB.Place(userUID)
	for {
		var failure error
		err = p.Rows.WithTenant(ctx, t.ID, userUID, &place, func(ctx context.Context, known rows.Leased) (string, error) {
			tenant := p.tenant(userUID, known)
			tenant.Key, tenant.Stale = key, renew || known.Prepared != desired
			failure = work(ctx, tenant)
			switch {
			case isForeign(failure):
				return refused + desired, nil
			case errors.Is(failure, engine.ErrLost):
				return rows.Unknown, nil // the user is stale from now on, until all is made again
			}
			return desired, failure
		})
		isLost := errors.Is(failure, engine.ErrLost)
		switch {
		case !isLost:
			return tenantError(failure, err)
		case err != nil: // it could not be noted
			return tenantError(nil, err)
		}
	}
}

func isForeign(err error) bool { return errors.As(err, new(*engine.Foreign)) }

// refused stands in front of what a user's role could not be given, because something there is another platform's: it need
// not be tried again and again.
const refused = "foreign "
