package rdb

import (
	"context"
	"database/sql"
	"fmt"

	"go.uber.org/zap"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// Delete implements engine.RDB.
func (e *Engine) Delete(ctx context.Context, tenant engine.Tenant, r engine.Resource, name string, last bool) (nothing bool, err error) {
	s := schemaOf(r, name)
	if s.database != "" {
		tenant.Place.Database = s.database
	}
	if err := e.dropSchema(ctx, s); err != nil {
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

func (e *Engine) dropSchema(ctx context.Context, s schema) error {
	isOpen, err := e.isOpen(ctx, s.database)
	if err != nil || !isOpen {
		return err
	}
	err = e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error { return e.exec(ctx, db, e.dropUnlessForeign(s)) })
	if database.IsDivisionByZero(err) {
		e.log.Warn("a schema of this name is another platform's and stays", zap.String("schema", join(s.database, s.name)))
		return nil
	}
	if database.IsMissing(err) { // the database, and with it the schema
		return nil
	}
	return err
}

// dropUnlessForeign is one text that reads the mark and drops: the division fails where the mark is another platform's, and with it
// the rest of the text. To ask first would take as long again as the drop.
func (e *Engine) dropUnlessForeign(s schema) string {
	whose := whom(s.resource)
	return fmt.Sprintf(`SELECT 1 / CASE WHEN EXISTS (SELECT 1 FROM pg_namespace n JOIN pg_description d ON d.objoid = n.oid
WHERE n.nspname = %s AND d.classoid = 'pg_catalog.pg_namespace'::REGCLASS AND substr(d.description, 1, %d) = %s
    AND d.description NOT IN (%s, %s)) THEN 0 ELSE 1 END; DROP SCHEMA IF EXISTS %s CASCADE`,
		database.Literal(s.name), len(marked), database.Literal(marked), database.Literal(e.mark(whose)), database.Literal(marked+whose),
		database.Quote(s.name))
}

// usedSchemas are those of the shared database on which a role has rights.
const usedSchemas = `SELECT current_database(), (SELECT count(*) FROM pg_namespace n
    WHERE n.nspname <> 'public' AND substr(n.nspname, 1, 3) <> 'pg_' AND has_schema_privilege(r.rolname, n.nspname, 'CREATE'))
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
		err = e.exec(ctx, db, fmt.Sprintf(`REVOKE CONNECT ON DATABASE %s FROM %s; DROP ROLE IF EXISTS %s`, connect, role, role))
		if database.IsInUse(err) {
			// A role that stays keeps its right, also where the text was no transaction.
			return e.exec(ctx, db, fmt.Sprintf(`GRANT CONNECT ON DATABASE %s TO %s`, connect, role))
		}
		return err
	})
}
