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
	if tenant.Place.Database == "" {
		return nil
	}
	d, err := e.speaks(ctx)
	if err != nil {
		return err
	}
	return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		for run := 1; ; run++ {
			found, admits, whose, err := e.ownDatabase(ctx, db, tenant)
			switch {
			case err != nil:
				return err
			case whose == foreign:
				return fmt.Errorf("%w: database %s", engine.ErrForeign, tenant.Place.Database)
			case found && admits && whose == ours:
				return nil
			case !tenant.Stale && (!found || !admits):
				return lost(errors.New("no database"))
			}
			err = e.execEach(ctx, db, "", e.databaseSteps(d, tenant, found, admits))
			switch {
			case database.IsInUse(err) && run == 1: // the one that new ones are copies of
				if err := e.freeTemplate(ctx, d); err != nil {
					return err
				}
			case database.IsInUse(err):
				return fmt.Errorf("%w: %w", engine.ErrBusy, err)
			case !database.IsDuplicate(err), run == maxRuns:
				return err
			}
			// Or another platform may have made the database just now.
		}
	})
}

// databaseSteps are the statements after which a database is there. Those of CREATE and ALLOW_CONNECTIONS stand alone.
func (e *Engine) databaseSteps(d *dialect, tenant engine.Tenant, found, admits bool) (statements []string) {
	quoted := database.Quote(tenant.Place.Database)
	if !found {
		statements = append(statements, `CREATE DATABASE `+quoted+d.createClosed)
	}
	statements = append(statements, fmt.Sprintf(`COMMENT ON DATABASE %s IS %s`, quoted, database.Literal(e.mark(tenant.UserUID))))
	if found && admits {
		return statements
	}
	statements = append(statements, fmt.Sprintf(`REVOKE ALL ON DATABASE %s FROM PUBLIC`, quoted))
	if d.admit != "" {
		statements = append(statements, fmt.Sprintf(d.admit, quoted))
	}
	return statements
}

const hasDatabase = `SELECT d.datallowconn, COALESCE(shobj_description(d.oid, 'pg_database'), '') FROM pg_database d WHERE d.datname = $1`

// ownDatabase tells whether the user's own database is there, whether it lets anybody in, and whose it is.
func (e *Engine) ownDatabase(ctx context.Context, db *sql.DB, tenant engine.Tenant) (found, admits bool, whose owner, err error) {
	var mark string
	found, err = e.read(ctx, db, hasDatabase, []any{tenant.Place.Database}, &admits, &mark)
	return found, admits, e.owner(mark, tenant.UserUID), err
}

// isOpen tells whether a database lets anybody in; "" is the one that all users share. Nothing was ever made in one that was
// left half-made, and what an operator has closed is not looked into.
func (e *Engine) isOpen(ctx context.Context, name string) (admits bool, err error) {
	if name == "" {
		return true, nil
	}
	err = e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		admits = false
		_, err := e.read(ctx, db, hasDatabase, []any{name}, &admits, new(string))
		return err
	})
	return admits, err
}

// otherSchemas are all but the engine's own.
const otherSchemas = `SELECT 1 FROM pg_namespace
WHERE nspname NOT IN ('public', 'information_schema', 'crdb_internal', 'pg_extension') AND substr(nspname, 1, 3) <> 'pg_' LIMIT 1`

// publicData is what someone keeps outside of every schema of Inner's, also what Inner has no right on.
const publicData = `SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S') LIMIT 1`

// dropDatabase drops the user's own database, unless it is another platform's or there is something in it.
func (e *Engine) dropDatabase(ctx context.Context, tenant engine.Tenant) error {
	name := tenant.Place.Database
	if name == "" {
		return nil
	}
	d, err := e.speaks(ctx)
	if err != nil {
		return err
	}
	drop, admits := false, false
	err = e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		found, admitted, whose, err := e.ownDatabase(ctx, db, tenant)
		drop, admits = found && mayDrop(whose, tenant), admitted
		return err
	})
	if err != nil || !drop {
		return err
	}
	if !admits { // it was left half-made: it is finished, so that it can be looked into
		tenant.Stale = true
		if err := e.ensureDatabase(ctx, tenant); err != nil {
			return err
		}
	}
	if used, err := e.isUsed(ctx, name); err != nil || used {
		return err
	}
	return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error { return e.dropUnused(ctx, db, d, name) })
}

// dropUnused drops a database with the sessions in it. Where one of them may not be ended, it is waited for: it is a
// superuser's, as of somebody who looks what is there, or Inner lacks the rights of pg_signal_backend.
func (e *Engine) dropUnused(ctx context.Context, db *sql.DB, d *dialect, name string) error {
	drop := `DROP DATABASE IF EXISTS ` + database.Quote(name)
	err := e.exec(ctx, db, drop+d.disconnecting)
	if database.IsForbidden(err) && d.disconnecting != "" {
		there, failure := e.read(ctx, db, sessionsIn, []any{name}, new(string), new(string))
		switch {
		case failure != nil:
			return failure
		case there:
			return fmt.Errorf("%w: %w", engine.ErrBusy, err)
		}
		err = e.exec(ctx, db, drop) // which ends autovacuum
	}
	if database.IsInUse(err) {
		return fmt.Errorf("%w: %w", engine.ErrBusy, err)
	}
	return err
}

// isUsed tells whether there is something in a database. One that was dropped by now is as good as used.
func (e *Engine) isUsed(ctx context.Context, name string) (used bool, err error) {
	err = e.on(ctx, name, func(ctx context.Context, db *sql.DB) error {
		schemas, err := e.read(ctx, db, otherSchemas, nil, new(int))
		if err != nil {
			return err
		}
		data, err := e.read(ctx, db, publicData, nil, new(int))
		used = schemas || data
		return err
	})
	if missing(err) {
		return true, nil
	}
	return used, err
}

// mayDrop tells whether a user's thing may be dropped: it carries this platform's mark, or none and this platform began to
// make it.
func mayDrop(whose owner, tenant engine.Tenant) bool {
	return whose == ours || whose == nobodys && tenant.Own
}
