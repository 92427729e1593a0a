package rdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// ensureDatabase creates the user's own database, where users have one. No other role ever gets access.
func (e *Engine) ensureDatabase(ctx context.Context, tenant engine.Tenant) error {
	if tenant.Names.Database == "" {
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
	return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		for run := 1; ; run++ {
			found, allowsConnections, owner, err := e.findDatabase(ctx, db, m, tenant)
			switch {
			case err != nil:
				return err
			case owner == ownedByOther:
				return &engine.OtherPlatformError{Object: "the database " + tenant.Names.Database}
			case found && allowsConnections && owner == ownedByUs:
				return nil
			case !tenant.Stale && (!found || !allowsConnections):
				return missingError(errors.New("no database"))
			}
			err = e.execEach(ctx, db, "", databaseStatements(d, m, tenant, found, allowsConnections))
			switch {
			case database.IsInUse(err): // the template database
				return fmt.Errorf("%w: %w", engine.ErrBusy, err)
			case !database.IsDuplicate(err), run == maxAttempts:
				return err
			}
			// A duplicate: another platform may have created the database just now.
		}
	})
}

// databaseStatements returns the statements after which a database exists. CREATE and ALLOW_CONNECTIONS need statements of
// their own.
func databaseStatements(d *dialect, m *marks, tenant engine.Tenant, found, allowsConnections bool) (statements []string) {
	quoted := database.Quote(tenant.Names.Database)
	if !found {
		statements = append(statements, `CREATE DATABASE `+quoted+d.createClosedSuffix)
	}
	statements = append(statements, fmt.Sprintf(`COMMENT ON DATABASE %s IS %s`, quoted, database.Literal(m.mark(tenant.UserUID))))
	if found && allowsConnections {
		return statements
	}
	statements = append(statements, fmt.Sprintf(`REVOKE ALL ON DATABASE %s FROM PUBLIC`, quoted))
	if d.allowConnections != "" {
		statements = append(statements, fmt.Sprintf(d.allowConnections, quoted))
	}
	return statements
}

const hasDatabase = `SELECT d.datallowconn, COALESCE(shobj_description(d.oid, 'pg_database'), '') FROM pg_database d WHERE d.datname = $1`

// findDatabase reports whether the user's own database exists, whether it allows connections, and its ownership.
func (e *Engine) findDatabase(
	ctx context.Context, db *sql.DB, m *marks, tenant engine.Tenant,
) (found, allowsConnections bool, owner ownership, err error) {
	var mark string
	found, err = e.read(ctx, db, hasDatabase, []any{tenant.Names.Database}, &allowsConnections, &mark)
	return found, allowsConnections, m.ownerOf(mark, tenant.UserUID), err
}

// allowsConnections reports whether a database allows connections; "" is the database that all users share. A half-made
// database holds nothing, and one that an operator has closed is not read.
func (e *Engine) allowsConnections(ctx context.Context, name string) (allowsConnections bool, err error) {
	if name == "" {
		return true, nil
	}
	err = e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		allowsConnections = false
		_, err := e.read(ctx, db, hasDatabase, []any{name}, &allowsConnections, new(string))
		return err
	})
	return allowsConnections, err
}

// anySchema finds a schema other than the engine's own.
const anySchema = `SELECT 'schema ' || nspname FROM pg_namespace
WHERE nspname NOT IN ('public', 'information_schema', 'crdb_internal', 'pg_extension') AND substr(nspname, 1, 3) <> 'pg_' LIMIT 1`

// anyPublicRelation finds a relation outside of Inner's schemas, also one on which Inner has no right.
const anyPublicRelation = `SELECT 'public.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S') LIMIT 1`

// dropDatabase drops the user's own database, unless it is another platform's or not empty; then it names some of the
// content.
func (e *Engine) dropDatabase(ctx context.Context, tenant engine.Tenant) (contents []string, err error) {
	name := tenant.Names.Database
	if name == "" {
		return nil, nil
	}
	d, err := e.getDialect(ctx)
	if err != nil {
		return nil, err
	}
	m, err := e.loadMarks(ctx)
	if err != nil {
		return nil, err
	}
	drop, allowsConnections := false, false
	err = e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		found, allowed, owner, err := e.findDatabase(ctx, db, m, tenant)
		drop, allowsConnections = found && mayDrop(owner, tenant), allowed
		return err
	})
	if err != nil || !drop {
		return nil, err
	}
	if !allowsConnections { // a half-made database is completed, so that its content can be read
		tenant.Stale = true
		if err := e.ensureDatabase(ctx, tenant); err != nil {
			return nil, err
		}
	}
	contents, err = e.contents(ctx, name)
	switch {
	case isMissing(err): // already dropped
		return nil, nil
	case err != nil || len(contents) > 0:
		return contents, err
	}
	return nil, e.on(ctx, "", func(ctx context.Context, db *sql.DB) error { return e.dropWithSessions(ctx, db, d, tenant.Names) })
}

// dropWithSessions drops a database with the sessions in it. A session that may not be terminated, such as a superuser's, is
// waited for.
func (e *Engine) dropWithSessions(ctx context.Context, db *sql.DB, d *dialect, tenantNames engine.TenantNames) error {
	drop := `DROP DATABASE IF EXISTS ` + database.Quote(tenantNames.Database)
	err := e.exec(ctx, db, drop+d.dropForce)
	if database.IsForbidden(err) && d.dropForce != "" {
		all, failure := e.sessions(ctx, "", sessionsIn, tenantNames.Database)
		if failure != nil {
			return failure
		}
		switch allEnded, failure := e.terminateSessions(ctx, all, tenantNames.Role); {
		case failure != nil:
			return failure
		case !allEnded:
			return fmt.Errorf("%w: %w", engine.ErrBusy, err)
		}
		err = e.exec(ctx, db, drop) // this terminates autovacuum
	}
	if database.IsInUse(err) {
		return fmt.Errorf("%w: %w", engine.ErrBusy, err)
	}
	return err
}

// contents names some of the objects in a database.
func (e *Engine) contents(ctx context.Context, name string) (some []string, err error) {
	err = e.on(ctx, name, func(ctx context.Context, db *sql.DB) error {
		some = nil
		for _, query := range []string{anySchema, anyPublicRelation} {
			var one string
			found, err := e.read(ctx, db, query, nil, &one)
			if err != nil {
				return err
			}
			if found {
				some = append(some, one)
			}
		}
		return nil
	})
	return some, err
}

// mayDrop reports whether a user's object may be dropped: it has this platform's mark, or none and this platform began to
// create it.
func mayDrop(owner ownership, tenant engine.Tenant) bool {
	return owner == ownedByUs || owner == ownedUnencrypted || owner == unowned && tenant.Owned
}

// openDatabases lists the databases to which every role may connect.
const openDatabases = `SELECT d.datname, '' FROM pg_database d
WHERE d.datallowconn AND has_database_privilege('public', d.oid, 'CONNECT') ORDER BY d.datname`

// OpenDatabases implements engine.RDB.
func (e *Engine) OpenDatabases(ctx context.Context) (names []string, err error) {
	err = e.forEachRow(ctx, "", func() { names = nil }, func(name, _ string) { names = append(names, name) }, openDatabases)
	return names, err
}

// restrictMaintenanceDatabases revokes PUBLIC's access to the databases that a server comes with. Other databases are left
// to their owners, and a database on which Inner has no right to the operator: OpenDatabases reports both.
func (e *Engine) restrictMaintenanceDatabases(ctx context.Context, d *dialect) error {
	open, err := e.OpenDatabases(ctx)
	if err != nil {
		return err
	}
	for _, name := range open {
		if !d.maintenance[name] {
			continue
		}
		// No connection to the database is made: a session in template1 would block CREATE DATABASE.
		err := e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, fmt.Sprintf(`%sREVOKE CONNECT ON DATABASE %s FROM PUBLIC`,
				d.withLockTimeout(shortLockTimeout), database.Quote(name)))
		})
		if err != nil && !isMissing(err) && !database.IsForbidden(err) {
			return err
		}
	}
	return nil
}
