package jobs

import (
	"context"
	"errors"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// CreateRDBType is the job type that creates a SQL schema.
const CreateRDBType = "combinator.create_rdb"

// CreateRDB is the payload: create the schema of this resource.
type CreateRDB struct {
	Ref
	// Name is the user's name for the resource. It is not used in the engine.
	Name *string `json:"name"`
}

// UnmarshalJSON decodes the Ref and the name: the embedded Ref's own method would ignore the name.
func (c *CreateRDB) UnmarshalJSON(data []byte) error {
	var sent struct {
		Name *string `json:"name"`
	}
	err := unmarshalWithRef(data, &c.Ref, &sent)
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

// Execute creates what is missing and marks the row as active.
func (j createRDB) Execute(ctx context.Context, t job.Task, p CreateRDB) error {
	row, err := j.Store.Resource(ctx, p.UserUID, p.ResourceID, store.RDB)
	if err != nil {
		return databaseError("reading the resource", err)
	}
	if j.limit > 0 && row.Status != store.Active { // a lowered limit takes away nothing that a user has
		earlier, err := j.Store.CountEarlier(ctx, row)
		if err != nil {
			return databaseError("counting the user's resources", err)
		}
		if earlier >= j.limit {
			return job.NewTerminal("a user may have %d SQL schemas", j.limit)
		}
	}
	name, isNew, err := j.recordName(ctx, j.rdbNamer(), p.resource(), row.Status)
	if err != nil {
		return err
	}
	err = j.withTenant(ctx, t, p.UserUID, false, func(ctx context.Context, tenant engine.Tenant) error {
		return j.RDB.Create(ctx, tenant, p.resource(), name)
	})
	if err != nil {
		return j.discardName(ctx, store.RDB, p.resource(), isNew, err)
	}
	if err := j.Store.SetStatus(ctx, p.UserUID, p.ResourceID, store.RDB, store.Active, ""); err != nil {
		return databaseError("updating the resource", err)
	}
	return nil
}

// OnDiscarded writes the reason to the row.
func (j createRDB) OnDiscarded(ctx context.Context, _ job.Task, p CreateRDB, reason string) error {
	return j.Store.SetStatus(ctx, p.UserUID, p.ResourceID, store.RDB, store.Error, reason)
}
