package rdb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// Prepare implements engine.RDB.
func (e *Engine) Prepare(ctx context.Context, tenant engine.Tenant) error {
	if err := e.ensureRole(ctx, tenant); err != nil {
		return err
	}
	if err := e.ensureDatabase(ctx, tenant); err != nil {
		return err
	}
	_, err := e.ensureAccess(ctx, tenant.Names.Role, schema{database: tenant.Names.Database})
	return err
}

// Create implements engine.RDB. For a prepared user it creates the schema at once: the error tells what is missing.
func (e *Engine) Create(ctx context.Context, tenant engine.Tenant, r engine.Resource, name string) error {
	m, err := e.loadMarks(ctx)
	if err != nil {
		return err
	}
	s := parseSchema(r, name)
	tenant.Names.Database = s.database
	if !tenant.Stale {
		err := e.createSchema(ctx, m, tenant.Names.Role, s, `CREATE SCHEMA `)
		switch {
		case isMissing(err):
			return missingError(err)
		case !database.IsDuplicateSchema(err):
			return err
		}
	}
	if err := e.ensureRole(ctx, tenant); err != nil {
		return err
	}
	if err := e.ensureDatabase(ctx, tenant); err != nil {
		return err
	}
	there, err := e.ensureAccess(ctx, tenant.Names.Role, s)
	if err != nil || there {
		return err
	}
	return e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
		switch owner, err := e.schemaOwner(ctx, db, m, s); {
		case err != nil:
			return err
		case owner == ownedByOther:
			return &engine.OtherPlatformError{Object: "the schema " + name}
		}
		return e.exec(ctx, db, createSchemaSQL(m, tenant.Names.Role, s, `CREATE SCHEMA IF NOT EXISTS `))
	})
}

// missingError says that a part of a prepared user is missing. It may be created only after the fingerprint was reset:
// otherwise nobody would complete an interrupted creation.
func missingError(err error) error { return fmt.Errorf("%w: %w", engine.ErrMissing, err) }

// createSchema creates a schema.
func (e *Engine) createSchema(ctx context.Context, m *marks, role string, s schema, create string) error {
	return e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
		return e.exec(ctx, db, createSchemaSQL(m, role, s, create))
	})
}

// createSchemaSQL returns the statements that create a schema. The role is granted access last; until then nobody has
// access, and combinator_places tells to which platform the schema belongs.
func createSchemaSQL(m *marks, role string, s schema, create string) string {
	quoted := database.Quote(s.name)
	text := create + quoted + `; ` + markSchemaSQL(m, s)
	if role != "" {
		text += fmt.Sprintf(`; GRANT USAGE, CREATE ON SCHEMA %s TO %s`, quoted, database.Quote(role))
	}
	return text
}

func markSchemaSQL(m *marks, s schema) string {
	return fmt.Sprintf(`COMMENT ON SCHEMA %s IS %s`, database.Quote(s.name), database.Literal(m.mark(ownerText(s.resource))))
}

const markOfSchema = `SELECT COALESCE(obj_description(n.oid, 'pg_namespace'), '') FROM pg_namespace n WHERE n.nspname = $1`

// schemaOwner returns the ownership of a schema; unowned when it does not exist.
func (e *Engine) schemaOwner(ctx context.Context, db *sql.DB, m *marks, s schema) (ownership, error) {
	var mark string
	_, err := e.read(ctx, db, markOfSchema, []any{s.name}, &mark)
	return m.ownerOf(mark, ownerText(s.resource)), err
}

// ensureRole creates the user's role, and sets its password and limits when they may differ. The role may log in only after
// that.
func (e *Engine) ensureRole(ctx context.Context, tenant engine.Tenant) error {
	if tenant.Names.Role == "" {
		return nil
	}
	d, err := e.getDialect(ctx)
	if err != nil {
		return err
	}
	m, err := e.loadMarks(ctx)
	if err != nil {
		return err
	}
	if tenant.Stale {
		if err := e.restrictMaintenanceDatabases(ctx, d); err != nil {
			return err
		}
	}
	return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		wait := shortLockTimeout
		for run := 1; ; run++ {
			found, owner, err := e.findRole(ctx, db, d, m, tenant)
			switch {
			case err != nil:
				return err
			case owner == ownedByOther:
				return &engine.OtherPlatformError{Object: "the role " + tenant.Names.Role}
			case !found && !tenant.Stale:
				return missingError(errors.New("no role"))
			case found && owner == ownedByUs && !tenant.Stale:
				return nil
			}
			statements, err := e.roleStatements(d, m, tenant, found)
			if err != nil {
				return err
			}
			err = e.execEach(ctx, db, d.withLockTimeout(wait), statements)
			switch {
			case database.IsLocked(err) && wait == shortLockTimeout && run < maxAttempts: // locked by the user
				if isFree, failure := e.releaseRoleLocks(ctx, d, tenant.Names.Role); failure != nil || !isFree {
					return cmp.Or(failure, err)
				}
				wait = e.config.LockTimeout
			case !database.IsDuplicate(err), run == maxAttempts:
				return err
			}
			// A duplicate: another platform may have created the role just now.
		}
	})
}

// findRole reports whether the user's role exists, and its ownership.
func (e *Engine) findRole(
	ctx context.Context, db *sql.DB, d *dialect, m *marks, tenant engine.Tenant,
) (found bool, owner ownership, err error) {
	var mark string
	found, err = e.read(ctx, db, d.roles, []any{database.Array([]string{tenant.Names.Role})}, new(string), &mark)
	return found, m.ownerOf(mark, tenant.UserUID), err
}

// roleStatements returns the statements that bring a role to its desired state.
func (e *Engine) roleStatements(d *dialect, m *marks, tenant engine.Tenant, found bool) (statements []string, err error) {
	role := database.Quote(tenant.Names.Role)
	if !found {
		statements = append(statements, `CREATE ROLE `+role+` WITH NOLOGIN NOCREATEDB NOCREATEROLE`)
	}
	statements = append(statements, d.markRole(tenant.Names.Role, m.mark(tenant.UserUID)),
		fmt.Sprintf(`ALTER ROLE %s SET statement_timeout = %d`, role, e.config.StatementTimeout.Milliseconds()),
		fmt.Sprintf(`ALTER ROLE %s SET idle_in_transaction_session_timeout = %d`, role, e.config.IdleTransactionTimeout.Milliseconds()))
	if d.connectionLimit != nil {
		limit := e.config.ConnectionLimit
		if limit == 0 {
			limit = -1
		}
		statements = append(statements, d.connectionLimit(tenant.Names.Role, limit))
	}
	login, err := e.loginStatement(role, tenant.Key)
	return append(statements, login), err
}

// loginStatement returns the statement that lets a role log in. An engine in insecure mode accepts no password but NULL.
func (e *Engine) loginStatement(role, key string) (string, error) {
	if e.config.Roles == config.RolesLogin {
		return fmt.Sprintf(`ALTER ROLE %s WITH LOGIN NOCREATEDB NOCREATEROLE PASSWORD NULL`, role), nil
	}
	hidden, err := verifier(key)
	return fmt.Sprintf(`ALTER ROLE %s WITH LOGIN NOCREATEDB NOCREATEROLE PASSWORD %s`, role, database.Literal(hidden)), err
}

// rights reads what the user's role may do in a database: connect, create temporary tables (a right that only PUBLIC could
// have given), use the schema public, and use its own schema.
const rights = `SELECT current_database(), has_database_privilege(r.rolname, current_database(), 'CONNECT'),
    has_database_privilege(r.rolname, current_database(), 'TEMP'),
    COALESCE((SELECT has_schema_privilege(r.oid, n.oid, 'USAGE') OR has_schema_privilege(r.oid, n.oid, 'CREATE')
        FROM pg_namespace n WHERE n.nspname = 'public'), false),
    COALESCE((SELECT has_schema_privilege(r.oid, n.oid, 'USAGE') AND has_schema_privilege(r.oid, n.oid, 'CREATE')
            AND obj_description(n.oid, 'pg_namespace') = $3
        FROM pg_namespace n WHERE n.nspname = $2), false)
FROM pg_roles r WHERE r.rolname = $1`

// platformTable finds a table that only the platform's own database has.
const platformTable = `SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'console_tasks'`

// ensureAccess revokes PUBLIC's rights on the schema's database and grants the user's role access, if that is not so
// already. It reports whether the schema exists with its mark and the role's rights.
func (e *Engine) ensureAccess(ctx context.Context, role string, s schema) (there bool, err error) {
	m, err := e.loadMarks(ctx)
	if err != nil {
		return false, err
	}
	err = e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
		if role == "" {
			owner, err := e.schemaOwner(ctx, db, m, s)
			there = owner == ownedByUs
			return err
		}
		var name string
		var connect, temporary, public bool
		args := []any{role, s.name, m.mark(ownerText(s.resource))}
		found, err := e.read(ctx, db, rights, args, &name, &connect, &temporary, &public, &there)
		switch {
		case err != nil:
			return err
		case !found:
			return errors.New("the role was dropped concurrently")
		case connect && !temporary && !public:
			return nil
		}
		return e.restrictDatabase(ctx, db, role, name)
	})
	return there, err
}

// restrictDatabase limits the access to a database to Inner and the role.
func (e *Engine) restrictDatabase(ctx context.Context, db *sql.DB, role, name string) error {
	platform, err := e.read(ctx, db, platformTable, nil, new(int))
	if err != nil {
		return err
	}
	if platform {
		return fmt.Errorf("%w: combinator.rdb.dsn names the platform's own database", engine.ErrInvalid)
	}
	quoted := database.Quote(name)
	return e.exec(ctx, db, fmt.Sprintf(`REVOKE ALL ON DATABASE %s FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC; `+
		`GRANT CONNECT ON DATABASE %s TO %s`, quoted, quoted, database.Quote(role)))
}
