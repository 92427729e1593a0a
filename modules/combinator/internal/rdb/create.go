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
	_, err := e.open(ctx, tenant.Place.Role, schema{database: tenant.Place.Database})
	return err
}

// Create implements engine.RDB. For a user who is prepared it tries at once: that says by itself what is missing.
func (e *Engine) Create(ctx context.Context, tenant engine.Tenant, r engine.Resource, name string) error {
	m, err := e.marks(ctx)
	if err != nil {
		return err
	}
	s := schemaOf(r, name)
	tenant.Place.Database = s.database
	if !tenant.Stale {
		err := e.make(ctx, m, tenant.Place.Role, s, `CREATE SCHEMA `)
		switch {
		case missing(err):
			return lost(err)
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
	there, err := e.open(ctx, tenant.Place.Role, s)
	if err != nil || there {
		return err
	}
	return e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
		switch whose, err := e.schemaOwner(ctx, db, m, s); {
		case err != nil:
			return err
		case whose == foreign:
			return &engine.Foreign{What: "the schema " + name}
		}
		return e.exec(ctx, db, steps(m, tenant.Place.Role, s, `CREATE SCHEMA IF NOT EXISTS `))
	})
}

// lost says that something is missing of a user who is prepared. It may be made only once the rows do not say so any more: else
// nobody would complete what is interrupted.
func lost(err error) error { return fmt.Errorf("%w: %w", engine.ErrLost, err) }

// make makes a schema.
func (e *Engine) make(ctx context.Context, m *marks, role string, s schema, create string) error {
	return e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error { return e.exec(ctx, db, steps(m, role, s, create)) })
}

// steps make a schema. The role is let in last; until then nobody is, and combinator_places says whose the schema is.
func steps(m *marks, role string, s schema, create string) string {
	quoted := database.Quote(s.name)
	text := create + quoted + `; ` + markSchema(m, s)
	if role != "" {
		text += fmt.Sprintf(`; GRANT USAGE, CREATE ON SCHEMA %s TO %s`, quoted, database.Quote(role))
	}
	return text
}

func markSchema(m *marks, s schema) string {
	return fmt.Sprintf(`COMMENT ON SCHEMA %s IS %s`, database.Quote(s.name), database.Literal(m.mark(whom(s.resource))))
}

const markOfSchema = `SELECT COALESCE(obj_description(n.oid, 'pg_namespace'), '') FROM pg_namespace n WHERE n.nspname = $1`

// schemaOwner tells whose a schema is; nobody's is also one that is not there.
func (e *Engine) schemaOwner(ctx context.Context, db *sql.DB, m *marks, s schema) (owner, error) {
	var mark string
	_, err := e.read(ctx, db, markOfSchema, []any{s.name}, &mark)
	return m.owner(mark, whom(s.resource)), err
}

// ensureRole makes the user's role, and gives it its password and limits where those may be others. It may log in only when
// all of that is done.
func (e *Engine) ensureRole(ctx context.Context, tenant engine.Tenant) error {
	if tenant.Place.Role == "" {
		return nil
	}
	d, err := e.speaks(ctx)
	if err != nil {
		return err
	}
	m, err := e.marks(ctx)
	if err != nil {
		return err
	}
	if tenant.Stale {
		if err := e.closeServer(ctx, d); err != nil {
			return err
		}
	}
	return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		wait := quickWait
		for run := 1; ; run++ {
			found, whose, err := e.role(ctx, db, d, m, tenant)
			switch {
			case err != nil:
				return err
			case whose == foreign:
				return &engine.Foreign{What: "the role " + tenant.Place.Role}
			case !found && !tenant.Stale:
				return lost(errors.New("no role"))
			case found && whose == ours && !tenant.Stale:
				return nil
			}
			statements, err := e.roleSteps(d, m, tenant, found)
			if err != nil {
				return err
			}
			err = e.execEach(ctx, db, d.waits(wait), statements)
			switch {
			case database.IsLocked(err) && wait == quickWait && run < maxRuns: // by the user, who may change some of it too
				if isFree, failure := e.freeRole(ctx, d, tenant.Place.Role); failure != nil || !isFree {
					return cmp.Or(failure, err)
				}
				wait = e.config.LockTimeout
			case !database.IsDuplicate(err), run == maxRuns:
				return err
			}
			// Or another platform may have made the role just now.
		}
	})
}

// role tells whether the user's role is there, and whose it is.
func (e *Engine) role(ctx context.Context, db *sql.DB, d *dialect, m *marks, tenant engine.Tenant) (found bool, whose owner, err error) {
	var mark string
	found, err = e.read(ctx, db, d.roles, []any{database.Array([]string{tenant.Place.Role})}, new(string), &mark)
	return found, m.owner(mark, tenant.UserUID), err
}

// roleSteps are the statements after which a role is as it is to be.
func (e *Engine) roleSteps(d *dialect, m *marks, tenant engine.Tenant, found bool) (statements []string, err error) {
	role := database.Quote(tenant.Place.Role)
	if !found {
		statements = append(statements, `CREATE ROLE `+role+` WITH NOLOGIN NOCREATEDB NOCREATEROLE`)
	}
	statements = append(statements, d.markRole(tenant.Place.Role, m.mark(tenant.UserUID)),
		fmt.Sprintf(`ALTER ROLE %s SET statement_timeout = %d`, role, e.config.StatementTimeout.Milliseconds()),
		fmt.Sprintf(`ALTER ROLE %s SET idle_in_transaction_session_timeout = %d`, role, e.config.IdleTransactionTimeout.Milliseconds()))
	if d.connectionLimit != nil {
		limit := e.config.ConnectionLimit
		if limit == 0 {
			limit = -1
		}
		statements = append(statements, d.connectionLimit(tenant.Place.Role, limit))
	}
	login, err := e.login(role, tenant.Key)
	return append(statements, login), err
}

// login lets a role in. An engine in insecure mode takes no other password than NULL.
func (e *Engine) login(role, key string) (string, error) {
	if e.config.Roles == config.RolesLogin {
		return fmt.Sprintf(`ALTER ROLE %s WITH LOGIN NOCREATEDB NOCREATEROLE PASSWORD NULL`, role), nil
	}
	hidden, err := verifier(key)
	return fmt.Sprintf(`ALTER ROLE %s WITH LOGIN NOCREATEDB NOCREATEROLE PASSWORD %s`, role, database.Literal(hidden)), err
}

// rights are what the user's role may do in a database: connect, make temporary tables (only everybody's right could
// give that), use the schema public, and use a schema of its own.
const rights = `SELECT current_database(), has_database_privilege(r.rolname, current_database(), 'CONNECT'),
    has_database_privilege(r.rolname, current_database(), 'TEMP'),
    COALESCE((SELECT has_schema_privilege(r.oid, n.oid, 'USAGE') OR has_schema_privilege(r.oid, n.oid, 'CREATE')
        FROM pg_namespace n WHERE n.nspname = 'public'), false),
    COALESCE((SELECT has_schema_privilege(r.oid, n.oid, 'USAGE') AND has_schema_privilege(r.oid, n.oid, 'CREATE')
            AND obj_description(n.oid, 'pg_namespace') = $3
        FROM pg_namespace n WHERE n.nspname = $2), false)
FROM pg_roles r WHERE r.rolname = $1`

// platformTable is known to be in the platform's own database.
const platformTable = `SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'console_tasks'`

// open takes everybody's rights on the schema's database away and lets the user's role in, where that is not so already. It
// tells whether the schema is there, with its mark and the role's rights on it.
func (e *Engine) open(ctx context.Context, role string, s schema) (there bool, err error) {
	m, err := e.marks(ctx)
	if err != nil {
		return false, err
	}
	err = e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
		if role == "" {
			whose, err := e.schemaOwner(ctx, db, m, s)
			there = whose == ours
			return err
		}
		var name string
		var connect, temporary, public bool
		found, err := e.read(ctx, db, rights, []any{role, s.name, m.mark(whom(s.resource))}, &name, &connect, &temporary, &public, &there)
		switch {
		case err != nil:
			return err
		case !found:
			return errors.New("the role was dropped meanwhile")
		case connect && !temporary && !public:
			return nil
		}
		return e.close(ctx, db, role, name)
	})
	return there, err
}

// close leaves a database to Inner and the role.
func (e *Engine) close(ctx context.Context, db *sql.DB, role, name string) error {
	platform, err := e.read(ctx, db, platformTable, nil, new(int))
	if err != nil {
		return err
	}
	if platform {
		return fmt.Errorf("%w: combinator.rdb.dsn names the platform's own database", engine.ErrUnusable)
	}
	quoted := database.Quote(name)
	return e.exec(ctx, db, fmt.Sprintf(`REVOKE ALL ON DATABASE %s FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC; `+
		`GRANT CONNECT ON DATABASE %s TO %s`, quoted, quoted, database.Quote(role)))
}
