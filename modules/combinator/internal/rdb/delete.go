package rdb

import (
	"context"
	"database/sql"
	"fmt"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// Delete implements engine.RDB.
func (e *Engine) Delete(ctx context.Context, tenant engine.Tenant, r engine.Resource, name string, last bool) (nothing bool, err error) {
	s := schemaOf(r, name)
	if s.database != "" {
		tenant.Place.Database = s.database
	}
	if err := e.dropSchema(ctx, tenant.Place.Role, s); err != nil {
		return false, err
	}
	switch {
	case !last:
		return false, nil
	case !e.config.DropUnused:
		return e.hasNothing(ctx, tenant)
	}
	// Whoever deletes a resource says that it was this platform's.
	tenant.Own = true
	return e.Remove(ctx, tenant)
}

// Remove implements engine.RDB.
func (e *Engine) Remove(ctx context.Context, tenant engine.Tenant) (nothing bool, err error) {
	if err := e.dropDatabase(ctx, tenant); err != nil {
		return false, err
	}
	if err := e.dropRole(ctx, tenant); err != nil {
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

// usedSchemas are those of the shared database on which a role has rights. By its id, one that was dropped meanwhile is no error.
const usedSchemas = `SELECT current_database(), (SELECT count(*) FROM pg_namespace n
    WHERE n.nspname <> 'public' AND substr(n.nspname, 1, 3) <> 'pg_' AND has_schema_privilege(r.oid, n.oid, 'CREATE'))
FROM pg_roles r WHERE r.rolname = $1`

// dropRole drops the user's role, unless it is another platform's or something in the engine depends on it.
func (e *Engine) dropRole(ctx context.Context, tenant engine.Tenant) error {
	if tenant.Place.Role == "" {
		return nil
	}
	d, err := e.speaks(ctx)
	if err != nil {
		return err
	}
	return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		found, whose, err := e.role(ctx, db, d, tenant)
		if err != nil || !found || !mayDrop(whose, tenant) {
			return err
		}
		var name string
		var used int
		found, err = e.read(ctx, db, usedSchemas, []any{tenant.Place.Role}, &name, &used)
		if err != nil || !found || tenant.Place.Database == "" && used > 0 {
			return err
		}
		connect, role := database.Quote(name), database.Quote(tenant.Place.Role)
		drop := fmt.Sprintf(`REVOKE CONNECT ON DATABASE %s FROM %s; DROP ROLE IF EXISTS %s`, connect, role, role)
		err = e.exec(ctx, db, d.waits(quickWait)+drop)
		if database.IsInUse(err) || database.IsLocked(err) { // another user may have granted it something, or be about to
			// A role that stays keeps its right, also where the text was no transaction.
			return e.exec(ctx, db, fmt.Sprintf(`GRANT CONNECT ON DATABASE %s TO %s`, connect, role))
		}
		return err
	})
}
