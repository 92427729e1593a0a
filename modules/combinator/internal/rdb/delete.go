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
	return e.hasNothing(ctx, tenant)
}

// hasNothing tells whether there is nothing that this platform might have made for the user.
func (e *Engine) hasNothing(ctx context.Context, tenant engine.Tenant) (bool, error) {
	tenant.Own = true
	found, err := e.Tenants(ctx, []engine.Tenant{tenant})
	return err == nil && len(found) == 0, err
}
