package rdb

import (
	"context"

	"app238.com/inner/modules/combinator/internal/engine"
)

// Delete implements engine.RDB.
func (e *Engine) Delete(ctx context.Context, tenant engine.Tenant, r engine.Resource, name string, last bool) (nothing bool, err error) {
	s := schemaOf(r, name)
	if s.database != "" {
		tenant.Place.Database = s.database
	}
	if err := e.dropSchema(ctx, tenant.Place.Role, s); err != nil || !last {
		return false, err
	}
	nothing, _, err = e.remaining(ctx, tenant)
	return nothing, err
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
