package rdb

import (
	"context"
	"database/sql"
	"fmt"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// Clear implements engine.RDB.
func (e *Engine) Clear(ctx context.Context, tenant engine.Tenant) (nothing bool, err error) {
	d, err := e.speaks(ctx)
	if err != nil {
		return false, err
	}
	// Whoever deletes a resource says that it was this platform's.
	tenant.Own = true
	if e.config.DropUnused {
		if _, err := e.dropDatabase(ctx, tenant); err != nil {
			return false, err
		}
	}
	mine, used, err := e.mayDropRole(ctx, d, tenant)
	switch {
	case err != nil:
		return false, err
	case mine && !used:
		if err := e.unlink(ctx, d, tenant.Place.Role, tenant.Place.Database); err != nil {
			return false, err
		}
		if e.config.DropUnused {
			if _, err := e.dropRole(ctx, d, tenant.Place.Role); err != nil {
				return false, err
			}
		}
	}
	return e.nothingElse(ctx, tenant)
}

// Remove implements engine.RDB. The role is kept out first: it may hold up all that follows, and what of it the engine does not let
// go of is of no more use to anybody.
func (e *Engine) Remove(ctx context.Context, tenant engine.Tenant) (nothing bool, err error) {
	d, err := e.speaks(ctx)
	if err != nil {
		return false, err
	}
	mine, used, err := e.mayDropRole(ctx, d, tenant)
	if err != nil {
		return false, err
	}
	role := tenant.Place.Role
	if mine {
		if err := e.expel(ctx, d, role); err != nil {
			return false, err
		}
	}
	inDatabase, err := e.dropDatabase(ctx, tenant)
	switch {
	case err != nil:
		return false, err
	case len(inDatabase) > 0:
		return false, &engine.Kept{What: "the database " + tenant.Place.Database, By: inDatabase}
	case used:
		return false, &engine.Kept{What: "the role " + role, By: []string{"schemas that are not deleted"}}
	case mine:
		if err := e.removeRole(ctx, d, role); err != nil {
			return false, err
		}
	}
	return e.nothingElse(ctx, tenant)
}

// mayDropRole tells whether the user's role is there and this platform's, and whether it is used: it has schemas in the shared
// database, which are deleted first.
func (e *Engine) mayDropRole(ctx context.Context, d *dialect, tenant engine.Tenant) (mine, used bool, err error) {
	if tenant.Place.Role == "" {
		return false, false, nil
	}
	m, err := e.marks(ctx)
	if err != nil {
		return false, false, err
	}
	err = e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		found, whose, err := e.role(ctx, db, d, m, tenant)
		if err != nil || !found || !mayDrop(whose, tenant) {
			return err
		}
		var schemas int
		mine, err = e.read(ctx, db, d.usedSchemas, []any{tenant.Place.Role}, new(string), &schemas)
		used = tenant.Place.Database == "" && schemas > 0
		return err
	})
	return mine, used, err
}

// dropRole drops a role on which nothing in the engine depends. One that stays keeps its right to connect.
func (e *Engine) dropRole(ctx context.Context, d *dialect, name string) (dropped bool, err error) {
	err = e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		dropped = false
		var shared string
		found, err := e.read(ctx, db, d.usedSchemas, []any{name}, &shared, new(int))
		if err != nil || !found {
			dropped = err == nil
			return err
		}
		connect, role := database.Quote(shared), database.Quote(name)
		err = e.exec(ctx, db, fmt.Sprintf(`%sREVOKE CONNECT ON DATABASE %s FROM %s; DROP ROLE IF EXISTS %s`, d.waits(quickWait), connect, role, role))
		if dropped = err == nil; !database.IsInUse(err) && !database.IsLocked(err) { // another user may have granted it something, or be about to
			return err
		}
		// Also where the text was no transaction.
		failure := e.exec(ctx, db, fmt.Sprintf(`GRANT CONNECT ON DATABASE %s TO %s`, connect, role))
		if database.IsLocked(err) && failure == nil {
			return err
		}
		return failure
	})
	return dropped, err
}

// removeRole drops the role of a user who is gone with what is left of it in each database, or says what does not let go of it.
func (e *Engine) removeRole(ctx context.Context, d *dialect, role string) error {
	if d.databasesOf != "" {
		var databases []string
		err := e.each(ctx, "", func() { databases = nil }, func(name, _ string) { databases = append(databases, name) }, d.databasesOf, role)
		if err != nil {
			return err
		}
		for _, name := range databases {
			if err := e.disown(ctx, d, role, name); err != nil {
				return err
			}
		}
	}
	dropped, err := e.dropRole(ctx, d, role)
	if err != nil || dropped {
		return err
	}
	kept := &engine.Kept{What: "the role " + role + ", which cannot log in any more"}
	if d.dependsOnRole != "" {
		err = e.each(ctx, "", func() { kept.By = nil }, func(name, _ string) { kept.By = append(kept.By, name) }, d.dependsOnRole, role)
	}
	if err != nil {
		return err
	}
	return kept
}

// disown drops what a role owns in a database, and takes away what it was given there, by whomever. What Inner may not take, or
// somebody else depends on, is left: then the role cannot be dropped, and that is told.
func (e *Engine) disown(ctx context.Context, d *dialect, role, databaseName string) error {
	if err := e.unlink(ctx, d, role, databaseName); err != nil {
		return err
	}
	err := e.asMember(ctx, role, func() error {
		return e.on(ctx, databaseName, func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, d.waits(quickWait)+`DROP OWNED BY `+database.Quote(role))
		})
	})
	if missing(err) || database.IsForbidden(err) || database.IsInUse(err) {
		return nil
	}
	return err
}

// unlink removes large objects of a role from a database: they are in no schema, and go with none. There may be any number: as long as
// some are left it returns ErrUnfinished.
func (e *Engine) unlink(ctx context.Context, d *dialect, role, databaseName string) error {
	isOpen, err := e.isOpen(ctx, databaseName)
	if err != nil || !isOpen || d.unlink == nil {
		return err
	}
	err = e.pastHolders(ctx, d, role, func() error {
		var unlinked map[string]int64
		err := e.asMember(ctx, role, func() (err error) {
			unlinked, err = e.pairs(ctx, databaseName, d.waits(quickWait)+d.unlink(role))
			return err
		})
		if err == nil && unlinked["unlinked"] == mostAtOnce {
			return engine.ErrUnfinished
		}
		return err
	})
	if missing(err) {
		return nil
	}
	return err
}
