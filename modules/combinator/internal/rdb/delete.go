package rdb

import (
	"context"
	"database/sql"

	"app238.com/inner/modules/combinator/internal/engine"
)

// Delete implements engine.RDB.
func (e *Engine) Delete(ctx context.Context, tenant engine.Tenant, r engine.Resource, name string, last bool) (nothing bool, err error) {
	s := schemaOf(r, name)
	if s.database != "" {
		tenant.Place.Database = s.database
	}
	if err := e.claim(ctx, s); err != nil {
		return false, err
	}
	if err := e.dropSchema(ctx, tenant.Place.Role, s); err != nil || !last {
		return false, err
	}
	nothing, _, err = e.remaining(ctx, tenant)
	return nothing, err
}

// claim encrypts the mark of a schema where it is in the clear. What is another platform's it names.
func (e *Engine) claim(ctx context.Context, s schema) error {
	isOpen, err := e.isOpen(ctx, s.database)
	if err != nil || !isOpen {
		return err
	}
	m, err := e.marks(ctx)
	if err != nil {
		return err
	}
	err = e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
		switch whose, err := e.schemaOwner(ctx, db, m, s); {
		case err != nil:
			return err
		case whose == foreign:
			return &engine.Foreign{What: "the schema " + join(s.database, s.name)}
		case whose == oursInClear:
			return e.exec(ctx, db, markSchema(m, s))
		}
		return nil
	})
	if missing(err) { // the database, or the schema by now
		return nil
	}
	return err
}

// remaining tells whether there is nothing that this platform might have made for the user, and what another platform has made.
func (e *Engine) remaining(ctx context.Context, tenant engine.Tenant) (nothing bool, others *engine.Foreign, err error) {
	all, err := e.owners(ctx, []engine.Tenant{tenant})
	if err != nil {
		return false, nil, err
	}
	nothing = true
	for _, part := range e.TenantParts() {
		switch whose, ok := all[tenant.UserUID][part]; {
		case ok && whose == foreign:
			others = &engine.Foreign{What: "the " + part + " " + nameOf(part, tenant.Place)}
		case ok:
			nothing = false
		}
	}
	return nothing, others, nil
}

// nothingElse is remaining where what another platform has made is an error.
func (e *Engine) nothingElse(ctx context.Context, tenant engine.Tenant) (bool, error) {
	nothing, others, err := e.remaining(ctx, tenant)
	if err == nil && others != nil {
		return false, others
	}
	return nothing, err
}
