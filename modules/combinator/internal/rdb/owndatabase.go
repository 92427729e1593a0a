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
	m, err := e.marks(ctx)
	if err != nil {
		return err
	}
	return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		for run := 1; ; run++ {
			found, admits, whose, err := e.ownDatabase(ctx, db, m, tenant)
			switch {
			case err != nil:
				return err
			case whose == foreign:
				return &engine.Foreign{What: "the database " + tenant.Place.Database}
			case found && admits && whose == ours:
				return nil
			case !tenant.Stale && (!found || !admits):
				return lost(errors.New("no database"))
			}
			err = e.execEach(ctx, db, "", databaseSteps(d, m, tenant, found, admits))
			switch {
			case database.IsInUse(err): // the one that new ones are copies of
				return fmt.Errorf("%w: %w", engine.ErrBusy, err)
			case !database.IsDuplicate(err), run == maxRuns:
				return err
			}
			// Or another platform may have made the database just now.
		}
	})
}

// databaseSteps are the statements after which a database is there. Those of CREATE and ALLOW_CONNECTIONS stand alone.
func databaseSteps(d *dialect, m *marks, tenant engine.Tenant, found, admits bool) (statements []string) {
	quoted := database.Quote(tenant.Place.Database)
	if !found {
		statements = append(statements, `CREATE DATABASE `+quoted+d.createClosed)
	}
	statements = append(statements, fmt.Sprintf(`COMMENT ON DATABASE %s IS %s`, quoted, database.Literal(m.mark(tenant.UserUID))))
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
func (e *Engine) ownDatabase(ctx context.Context, db *sql.DB, m *marks, tenant engine.Tenant) (found, admits bool, whose owner, err error) {
	var mark string
	found, err = e.read(ctx, db, hasDatabase, []any{tenant.Place.Database}, &admits, &mark)
	return found, admits, m.owner(mark, tenant.UserUID), err
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
const otherSchemas = `SELECT 'schema ' || nspname FROM pg_namespace
WHERE nspname NOT IN ('public', 'information_schema', 'crdb_internal', 'pg_extension') AND substr(nspname, 1, 3) <> 'pg_' LIMIT 1`

// publicData is what someone keeps outside of every schema of Inner's, also what Inner has no right on.
const publicData = `SELECT 'public.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S') LIMIT 1`

// dropDatabase drops the user's own database, unless it is another platform's or there is something in it, some of which it names.
func (e *Engine) dropDatabase(ctx context.Context, tenant engine.Tenant) (holds []string, err error) {
	name := tenant.Place.Database
	if name == "" {
		return nil, nil
	}
	d, err := e.speaks(ctx)
	if err != nil {
		return nil, err
	}
	m, err := e.marks(ctx)
	if err != nil {
		return nil, err
	}
	drop, admits := false, false
	err = e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		found, admitted, whose, err := e.ownDatabase(ctx, db, m, tenant)
		drop, admits = found && mayDrop(whose, tenant), admitted
		return err
	})
	if err != nil || !drop {
		return nil, err
	}
	if !admits { // it was left half-made: it is finished, so that it can be looked into
		tenant.Stale = true
		if err := e.ensureDatabase(ctx, tenant); err != nil {
			return nil, err
		}
	}
	holds, err = e.holds(ctx, name)
	switch {
	case missing(err): // it was dropped by now
		return nil, nil
	case err != nil || len(holds) > 0:
		return holds, err
	}
	return nil, e.on(ctx, "", func(ctx context.Context, db *sql.DB) error { return e.dropUnused(ctx, db, d, tenant.Place) })
}

// dropUnused drops a database with the sessions in it. Where one of them may not be ended, it is waited for: it is a
// superuser's, as of somebody who looks what is there.
func (e *Engine) dropUnused(ctx context.Context, db *sql.DB, d *dialect, place engine.Place) error {
	drop := `DROP DATABASE IF EXISTS ` + database.Quote(place.Database)
	err := e.exec(ctx, db, drop+d.disconnecting)
	if database.IsForbidden(err) && d.disconnecting != "" {
		all, failure := e.sessions(ctx, "", sessionsIn, place.Database)
		if failure != nil {
			return failure
		}
		switch areEnded, failure := e.endThose(ctx, all, place.Role); {
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
func (e *Engine) holds(ctx context.Context, name string) (some []string, err error) {
	err = e.on(ctx, name, func(ctx context.Context, db *sql.DB) error {
		some = nil
		for _, query := range []string{otherSchemas, publicData} {
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
func mayDrop(whose owner, tenant engine.Tenant) bool {
	return whose == ours || whose == oursInClear || whose == nobodys && tenant.Own
}
