package rdb

import (
	"context"
	"database/sql"
	"fmt"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// Exists implements engine.RDB.
func (e *Engine) Exists(ctx context.Context, r engine.Resource) (there bool, err error) {
	p := e.names.place(r.UserUID)
	err = e.on(ctx, p.database, func(ctx context.Context, db *sql.DB) error {
		there, err = e.read(ctx, db, hasSchema, []any{e.names.schema.Name(r.UserUID, r.ResourceID)}, new(int))
		return err
	})
	if database.IsMissing(err) { // the database
		return false, nil
	}
	return there, err
}

// Delete implements engine.RDB.
func (e *Engine) Delete(ctx context.Context, r engine.Resource, last bool) (nothing bool, err error) {
	p := e.names.place(r.UserUID)
	if err := e.dropSchema(ctx, p, e.names.schema.Name(r.UserUID, r.ResourceID)); err != nil {
		return false, err
	}
	switch {
	case !last:
		return false, nil
	case !e.config.DropUnused:
		return e.hasNothing(ctx, r.UserUID)
	}
	return e.Remove(ctx, r.UserUID)
}

// Remove implements engine.RDB.
func (e *Engine) Remove(ctx context.Context, userUID string) (nothing bool, err error) {
	p := e.names.place(userUID)
	if err := e.dropDatabase(ctx, p); err != nil {
		return false, err
	}
	if err := e.dropRole(ctx, p); err != nil {
		return false, err
	}
	return e.hasNothing(ctx, userUID)
}

func (e *Engine) hasNothing(ctx context.Context, userUID string) (bool, error) {
	found, err := e.Tenants(ctx, []string{userUID})
	return err == nil && len(found) == 0, err
}

func (e *Engine) dropSchema(ctx context.Context, p place, schema string) error {
	err := e.on(ctx, p.database, func(ctx context.Context, db *sql.DB) error {
		return e.exec(ctx, db, `DROP SCHEMA IF EXISTS `+database.Quote(schema)+` CASCADE`)
	})
	if database.IsMissing(err) { // the database, and with it the schema
		return nil
	}
	return err
}

// otherSchemas are all but the engine's own.
const otherSchemas = `SELECT 1 FROM pg_namespace
WHERE nspname NOT IN ('public', 'information_schema', 'crdb_internal', 'pg_extension') AND substr(nspname, 1, 3) <> 'pg_' LIMIT 1`

// publicTables are what someone keeps outside of every schema of Inner's.
const publicTables = `SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' LIMIT 1`

// dropDatabase drops the user's own database, unless there is something in it.
func (e *Engine) dropDatabase(ctx context.Context, p place) error {
	if p.database == "" {
		return nil
	}
	used := false
	err := e.on(ctx, p.database, func(ctx context.Context, db *sql.DB) error {
		schemas, err := e.read(ctx, db, otherSchemas, nil, new(int))
		if err != nil {
			return err
		}
		tables, err := e.read(ctx, db, publicTables, nil, new(int))
		used = schemas || tables
		return err
	})
	switch {
	case database.IsMissing(err):
		return nil
	case err != nil || used:
		return err
	}
	d, err := e.speaks(ctx)
	if err != nil {
		return err
	}
	return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		if d.disconnect != "" {
			if err := e.exec(ctx, db, d.disconnect, p.database); err != nil {
				return err
			}
		}
		err := e.exec(ctx, db, `DROP DATABASE IF EXISTS `+database.Quote(p.database))
		if database.IsInUse(err) {
			return fmt.Errorf("%w: %w", engine.ErrBusy, err)
		}
		return err
	})
}

// usedSchemas are those on which a role has rights.
const usedSchemas = `SELECT current_database(), (SELECT count(*) FROM pg_namespace n
    WHERE substr(n.nspname, 1, length($2::TEXT)) = $2 AND has_schema_privilege(r.rolname, n.nspname, 'CREATE'))
FROM pg_roles r WHERE r.rolname = $1`

// dropRole drops the user's role, unless something in the engine depends on it.
func (e *Engine) dropRole(ctx context.Context, p place) error {
	if !e.withRoles() {
		return nil
	}
	return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		var name string
		var used int
		found, err := e.read(ctx, db, usedSchemas, []any{p.role, e.names.schema.Head()}, &name, &used)
		if err != nil || !found || p.database == "" && used > 0 {
			return err
		}
		// One text is one transaction: a role that stays keeps its right.
		role := database.Quote(p.role)
		err = e.exec(ctx, db, fmt.Sprintf(`REVOKE CONNECT ON DATABASE %s FROM %s; DROP ROLE IF EXISTS %s`, database.Quote(name), role, role))
		if database.IsInUse(err) {
			return nil
		}
		return err
	})
}
