package rdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// Prepare implements engine.RDB.
func (e *Engine) Prepare(ctx context.Context, tenant engine.Tenant) error {
	p := e.names.place(tenant.UserUID)
	if err := e.ensureRole(ctx, p, tenant); err != nil {
		return err
	}
	if err := e.ensureDatabase(ctx, p); err != nil {
		return err
	}
	_, err := e.open(ctx, p, schema{})
	return err
}

// Create implements engine.RDB. For a user who is prepared it tries at once: that says by itself what is missing.
func (e *Engine) Create(ctx context.Context, tenant engine.Tenant, resourceID string) error {
	p := e.names.place(tenant.UserUID)
	s := e.schema(engine.Resource{UserUID: tenant.UserUID, ResourceID: resourceID})
	if !tenant.Stale {
		err := e.make(ctx, p, s, `CREATE SCHEMA `)
		if !database.IsDuplicateSchema(err) && !database.IsMissing(err) {
			return err
		}
	}
	if err := e.ensureRole(ctx, p, tenant); err != nil {
		return err
	}
	if err := e.ensureDatabase(ctx, p); err != nil {
		return err
	}
	there, err := e.open(ctx, p, s)
	if err != nil || there {
		return err
	}
	return e.make(ctx, p, s, `CREATE SCHEMA IF NOT EXISTS `)
}

// make makes a schema. One text is one transaction: there is no schema without its mark and its grant.
func (e *Engine) make(ctx context.Context, p place, s schema, create string) error {
	quoted := database.Quote(s.name)
	statement := fmt.Sprintf(`%s%s; COMMENT ON SCHEMA %s IS %s`, create, quoted, quoted, database.Literal(s.mark))
	if e.withRoles() {
		statement += fmt.Sprintf(`; GRANT USAGE, CREATE ON SCHEMA %s TO %s`, quoted, database.Quote(p.role))
	}
	return e.on(ctx, p.database, func(ctx context.Context, db *sql.DB) error { return e.exec(ctx, db, statement) })
}

// ensureRole makes the user's role, and gives it its password and limits where those may be others.
func (e *Engine) ensureRole(ctx context.Context, p place, tenant engine.Tenant) error {
	if !e.withRoles() {
		return nil
	}
	if !tenant.Stale {
		found, err := e.hasRole(ctx, p.role)
		if err != nil || found {
			return err
		}
	}
	d, err := e.speaks(ctx)
	if err != nil {
		return err
	}
	password, err := e.password(tenant.Key)
	if err != nil {
		return err
	}
	role := database.Quote(p.role)
	limits := []string{
		fmt.Sprintf(`ALTER ROLE %s WITH LOGIN NOCREATEDB NOCREATEROLE PASSWORD %s`, role, password),
		fmt.Sprintf(`ALTER ROLE %s SET statement_timeout = %d`, role, e.config.StatementTimeout.Milliseconds()),
		fmt.Sprintf(`ALTER ROLE %s SET idle_in_transaction_session_timeout = %d`, role, e.config.IdleTransactionTimeout.Milliseconds()),
	}
	return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		statements := limits
		found, err := e.read(ctx, db, hasRole, []any{p.role}, new(int))
		if err != nil {
			return err
		}
		if !found {
			statements = append([]string{`CREATE ROLE ` + role + ` WITH LOGIN NOCREATEDB NOCREATEROLE`}, limits...)
		}
		if err := e.exec(ctx, db, strings.Join(statements, "; ")); err != nil && !database.IsDuplicate(err) {
			return err
		} else if err != nil {
			// Another process has made the role just now: it remains to give it what is this one's wish.
			return e.exec(ctx, db, strings.Join(limits, "; "))
		}
		if d.connectionLimit == nil {
			return nil
		}
		limit := e.config.ConnectionLimit
		if limit == 0 {
			limit = -1
		}
		return e.exec(ctx, db, d.connectionLimit(p.role, limit))
	})
}

// password is what stands behind PASSWORD in a statement. An engine in insecure mode takes NULL, and no other.
func (e *Engine) password(key string) (string, error) {
	if e.config.Roles == config.RolesLogin {
		return "NULL", nil
	}
	hidden, err := verifier(key)
	return database.Literal(hidden), err
}

const hasRole = `SELECT 1 FROM pg_roles WHERE rolname = $1`

func (e *Engine) hasRole(ctx context.Context, role string) (found bool, err error) {
	err = e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		found, err = e.read(ctx, db, hasRole, []any{role}, new(int))
		return err
	})
	return found, err
}

// ensureDatabase makes the user's own database, where users have one.
func (e *Engine) ensureDatabase(ctx context.Context, p place) error {
	if p.database == "" {
		return nil
	}
	return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		found, err := e.read(ctx, db, hasDatabase, []any{p.database}, new(int))
		if err != nil || found {
			return err
		}
		if err := e.exec(ctx, db, `CREATE DATABASE `+database.Quote(p.database)); !database.IsDuplicate(err) {
			return err
		}
		return nil
	})
}

const hasDatabase = `SELECT 1 FROM pg_database WHERE datname = $1`

// rights are what the user's role may do in a database: connect, make temporary tables (only everybody's right could
// give that), use the schema public, and use a schema of its own.
const rights = `SELECT current_database(), has_database_privilege(r.rolname, current_database(), 'CONNECT'),
    has_database_privilege(r.rolname, current_database(), 'TEMP'),
    COALESCE((SELECT has_schema_privilege(r.rolname, n.nspname, 'USAGE') OR has_schema_privilege(r.rolname, n.nspname, 'CREATE')
        FROM pg_namespace n WHERE n.nspname = 'public'), false),
    COALESCE((SELECT has_schema_privilege(r.rolname, n.nspname, 'USAGE') AND has_schema_privilege(r.rolname, n.nspname, 'CREATE')
            AND obj_description(n.oid, 'pg_namespace') = $3
        FROM pg_namespace n WHERE n.nspname = $2), false)
FROM pg_roles r WHERE r.rolname = $1`

// hasMarked finds a schema with its mark; hasSchema any of this name.
const (
	hasMarked = `SELECT 1 FROM pg_namespace n WHERE n.nspname = $1 AND obj_description(n.oid, 'pg_namespace') = $2`
	hasSchema = `SELECT 1 FROM pg_namespace WHERE nspname = $1`
)

// platformTable is known to be in the platform's own database.
const platformTable = `SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'console_tasks'`

// open takes everybody's rights on the database away and lets the user's role in, where that is not so already. It tells
// whether the schema is there, with its mark and the role's rights on it.
func (e *Engine) open(ctx context.Context, p place, s schema) (there bool, err error) {
	err = e.on(ctx, p.database, func(ctx context.Context, db *sql.DB) error {
		if !e.withRoles() {
			there, err = e.read(ctx, db, hasMarked, []any{s.name, s.mark}, new(int))
			return err
		}
		var name string
		var connect, temporary, public bool
		found, err := e.read(ctx, db, rights, []any{p.role, s.name, s.mark}, &name, &connect, &temporary, &public, &there)
		switch {
		case err != nil:
			return err
		case !found:
			return errors.New("the role was dropped meanwhile")
		case connect && !temporary && !public:
			return nil
		}
		return e.close(ctx, db, p, name)
	})
	return there, err
}

// close leaves a database to Inner and the role.
func (e *Engine) close(ctx context.Context, db *sql.DB, p place, name string) error {
	platform, err := e.read(ctx, db, platformTable, nil, new(int))
	if err != nil {
		return err
	}
	if platform {
		return fmt.Errorf("%w: combinator.rdb.dsn names the platform's own database", engine.ErrUnusable)
	}
	quoted := database.Quote(name)
	return e.exec(ctx, db, fmt.Sprintf(`REVOKE ALL ON DATABASE %s FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC; `+
		`GRANT CONNECT ON DATABASE %s TO %s`, quoted, quoted, database.Quote(p.role)))
}
