package rdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// ensureDatabase makes the user's own database, where users have one. Nobody else is ever let in.
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
				return fmt.Errorf("%w: database %s", engine.ErrOtherPlatform, tenant.Names.Database)
			case found && allowsConnections && owner == ownedByUs:
				return nil
			case !tenant.Stale && (!found || !allowsConnections):
				return missingError(errors.New("no database"))
			}
			err = e.execEach(ctx, db, "", databaseStatements(d, m, tenant, found, allowsConnections))
			switch {
			case database.IsInUse(err): // the one that new ones are copies of
				return fmt.Errorf("%w: %w", engine.ErrBusy, err)
			case !database.IsDuplicate(err), run == maxAttempts:
				return err
			}
			// Or another platform may have made the database just now.
		}
	})
}

// databaseSteps are the statements after which a database is there. Those of CREATE and ALLOW_CONNECTIONS stand alone.
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

// ownDatabase tells whether the user's own database is there, whether it lets anybody in, and whose it is.
func (e *Engine) findDatabase(ctx context.Context, db *sql.DB, m *marks, tenant engine.Tenant) (found, allowsConnections bool, owner ownership, err error) {
	var mark string
	found, err = e.read(ctx, db, hasDatabase, []any{tenant.Names.Database}, &allowsConnections, &mark)
	return found, allowsConnections, m.ownerOf(mark, tenant.UserUID), err
}

// isOpen tells whether a database lets anybody in; "" is the one that all users share. Nothing was ever made in one that was
// left half-made, and what an operator has closed is not looked into.
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

// otherSchemas are all but the engine's own.
const anySchema = `SELECT 'schema ' || nspname FROM pg_namespace
WHERE nspname NOT IN ('public', 'information_schema', 'crdb_internal', 'pg_extension') AND substr(nspname, 1, 3) <> 'pg_' LIMIT 1`

// publicData is what someone keeps outside of every schema of Inner's, also what Inner has no right on.
const anyPublicRelation = `SELECT 'public.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S') LIMIT 1`

// dropDatabase drops the user's own database, unless it is another platform's or there is something in it, some of which it names.
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
	if !allowsConnections { // it was left half-made: it is finished, so that it can be looked into
		tenant.Stale = true
		if err := e.ensureDatabase(ctx, tenant); err != nil {
			return nil, err
		}
	}
	contents, err = e.contents(ctx, name)
	switch {
	case isMissing(err): // it was dropped by now
		return nil, nil
	case err != nil || len(contents) > 0:
		return contents, err
	}
	return nil, e.on(ctx, "", func(ctx context.Context, db *sql.DB) error { return e.dropWithSessions(ctx, db, d, tenant.Names) })
}

// dropUnused drops a database with the sessions in it. Where one of them may not be ended, it is waited for: it is a
// superuser's, as of somebody who looks what is there.
func (e *Engine) dropWithSessions(ctx context.Context, db *sql.DB, d *dialect, tenantNames engine.TenantNames) error {
	drop := `DROP DATABASE IF EXISTS ` + database.Quote(tenantNames.Database)
	err := e.exec(ctx, db, drop+d.dropForce)
	if database.IsForbidden(err) && d.dropForce != "" {
		all, failure := e.sessions(ctx, "", sessionsIn, tenantNames.Database)
		if failure != nil {
			return failure
		}
		switch areEnded, failure := e.terminateSessions(ctx, all, tenantNames.Role); {
		case failure != nil:
			return failure
		case !areEnded:
			return fmt.Errorf("%w: %w", engine.ErrBusy, err)
		}
		err = e.exec(ctx, db, drop) // which ends autovacuum
	}
	if database.IsInUse(err) {
		return fmt.Errorf("%w: %w", engine.ErrBusy, err)
	}
	return err
}

// holds names some of what is in a database.
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

// mayDrop tells whether a user's thing may be dropped: it carries this platform's mark, or none and this platform began to
// make it.
func mayDrop(owner ownership, tenant engine.Tenant) bool {
	return owner == ownedByUs || owner == unowned && tenant.Owned
}

// openDatabases are those that everybody may connect to.
const openDatabases = `SELECT d.datname, '' FROM pg_database d
WHERE d.datallowconn AND has_database_privilege('public', d.oid, 'CONNECT') ORDER BY d.datname`

// OpenDatabases implements engine.RDB.
func (e *Engine) OpenDatabases(ctx context.Context) (names []string, err error) {
	err = e.forEachRow(ctx, "", func() { names = nil }, func(name, _ string) { names = append(names, name) }, openDatabases)
	return names, err
}

// closeServer keeps everybody out of the databases that a server comes with, where users' roles have no business. Those of others are
// their owners', and where Inner has no right on one, that is the operator's to do: OpenDatabases tells.
func (e *Engine) restrictMaintenanceDatabases(ctx context.Context, d *dialect) error {
	open, err := e.OpenDatabases(ctx)
	if err != nil {
		return err
	}
	for _, name := range open {
		if !d.maintenance[name] {
			continue
		}
		// Without a look into it: while somebody is in template1, others get no database.
		err := e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, fmt.Sprintf(`%sREVOKE CONNECT ON DATABASE %s FROM PUBLIC`, d.withLockTimeout(shortLockTimeout), database.Quote(name)))
		})
		if err != nil && !isMissing(err) && !database.IsForbidden(err) {
			return err
		}
	}
	return nil
}
