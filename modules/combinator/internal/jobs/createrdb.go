package jobs

import (
	"context"
	"errors"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
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

var _ job.DiscardHandler[CreateRDB] = createRDB{}

// NewCreateRDB defines the job.
func NewCreateRDB(p Params, c *config.Config) job.Definition {
	return job.Define(job.Spec{Type: CreateRDBType, Aliases: aliases("CreateRDB"), Lane: job.SchemaLane},
		createRDB{Params: p, limit: c.Combinator.RDB.SchemasPerUser})
}

// Execute makes what is missing and marks the row once everything is there.
func (j createRDB) Execute(ctx context.Context, t job.Task, p CreateRDB) error {
	row, err := j.Store.Resource(ctx, p.UserUID, p.ResourceID, store.RDB)
	if err != nil {
		return databaseError("reading the resource", err)
	}
	if j.limit > 0 {
		earlier, err := j.Store.CountEarlier(ctx, row)
		if err != nil {
			return databaseError("counting the user's resources", err)
		}
		if earlier >= j.limit {
			return job.NewTerminal("a user may have %d SQL schemas", j.limit)
		}
	}
	name, err := j.record(ctx, j.rdbNamer(), p.resource(), row.Status)
	if err != nil {
		return err
	}
	err = j.withTenant(ctx, t, p.UserUID, false, func(ctx context.Context, tenant engine.Tenant) error {
		return j.RDB.Create(ctx, tenant, p.resource(), name)
	})
	if err != nil {
		return err
	}
	if err := j.Store.Mark(ctx, p.UserUID, p.ResourceID, store.RDB, store.Active, ""); err != nil {
		return databaseError("marking the resource", err)
	}
	return nil
}

// OnDiscarded writes the reason to the row.
func (j createRDB) OnDiscarded(ctx context.Context, _ job.Task, p CreateRDB, reason string) error {
	return j.Store.Mark(ctx, p.UserUID, p.ResourceID, store.RDB, store.Error, reason)
}

// withTenant runs work on a user of the RDB engine while no other process does, and notes what the user's role was given. With renew
// the role is to be given it again.
func (p Params) withTenant(ctx context.Context, t job.Task, userUID string, renew bool, work func(ctx context.Context, tenant engine.Tenant) error) error {
	key, err := p.Store.SecretKey(ctx, userUID)
	if err != nil {
		return databaseError("reading the user", err)
	}
	desired, place := p.RDB.Fingerprint(key), p.RDB.Place(userUID)
	for {
		var failure error
		err = p.Store.WithTenant(ctx, t.ID, userUID, &place, func(ctx context.Context, known store.Leased) (string, error) {
			tenant := p.tenant(userUID, known)
			tenant.Key, tenant.Stale = key, renew || known.Prepared != desired
			failure = work(ctx, tenant)
			switch {
			case errors.Is(failure, engine.ErrForeign):
				return refused + desired, nil
			case errors.Is(failure, engine.ErrLost):
				return store.Unknown, nil // the user is stale from now on, until all is made again
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

// refused stands in front of what a user's role could not be given, because something there is another platform's: it need
// not be tried again and again.
const refused = "foreign "
