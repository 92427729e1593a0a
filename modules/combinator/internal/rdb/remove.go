package rdb

import (
	"context"
	"database/sql"
	"fmt"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// Cleanup implements engine.RDB.
func (e *Engine) Cleanup(ctx context.Context, tenant engine.Tenant) (empty bool, err error) {
	d, err := e.getDialect(ctx)
	if err != nil {
		return false, err
	}
	// The deletion of a resource proves that it was this platform's.
	tenant.Owned = true
	if e.config.DropUnused {
		if _, err := e.dropDatabase(ctx, tenant); err != nil {
			return false, err
		}
	}
	isOurs, used, err := e.mayDropRole(ctx, d, tenant)
	switch {
	case err != nil:
		return false, err
	case isOurs && !used:
		if err := e.unlinkLargeObjects(ctx, d, tenant.Names.Role, tenant.Names.Database); err != nil {
			return false, err
		}
		if e.config.DropUnused {
			if _, err := e.dropRole(ctx, d, tenant.Names.Role); err != nil {
				return false, err
			}
		}
	}
	return e.isEmpty(ctx, tenant)
}

// Remove implements engine.RDB. The login is disabled first: sessions of the role may block what follows, and a role that
// cannot be dropped must not be usable.
func (e *Engine) Remove(ctx context.Context, tenant engine.Tenant) (empty bool, err error) {
	d, err := e.getDialect(ctx)
	if err != nil {
		return false, err
	}
	isOurs, used, err := e.mayDropRole(ctx, d, tenant)
	if err != nil {
		return false, err
	}
	role := tenant.Names.Role
	if isOurs {
		if err := e.disableLogin(ctx, d, role); err != nil {
			return false, err
		}
	}
	inDatabase, err := e.dropDatabase(ctx, tenant)
	switch {
	case err != nil:
		return false, err
	case len(inDatabase) > 0:
		return false, &engine.DependencyError{Object: "the database " + tenant.Names.Database, Dependents: inDatabase}
	case used:
		return false, &engine.DependencyError{Object: "the role " + role, Dependents: []string{"schemas that are not deleted"}}
	case isOurs:
		if err := e.removeRole(ctx, d, role); err != nil {
			return false, err
		}
	}
	return e.isEmpty(ctx, tenant)
}

// mayDropRole reports whether the user's role exists and is this platform's, and whether it has schemas in the shared
// database, which are deleted first.
func (e *Engine) mayDropRole(ctx context.Context, d *dialect, tenant engine.Tenant) (isOurs, used bool, err error) {
	if tenant.Names.Role == "" {
		return false, false, nil
	}
	m, err := e.loadMarks(ctx)
	if err != nil {
		return false, false, err
	}
	err = e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		found, owner, err := e.findRole(ctx, db, d, m, tenant)
		if err != nil || !found || !mayDrop(owner, tenant) {
			return err
		}
		var schemas int
		isOurs, err = e.read(ctx, db, d.usedSchemas, []any{tenant.Names.Role}, new(string), &schemas)
		used = tenant.Names.Database == "" && schemas > 0
		return err
	})
	return isOurs, used, err
}

// dropRole drops a role on which nothing in the engine depends. A role that stays keeps its right to connect.
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
		err = e.exec(ctx, db, fmt.Sprintf(`%sREVOKE CONNECT ON DATABASE %s FROM %s; DROP ROLE IF EXISTS %s`,
			d.withLockTimeout(shortLockTimeout), connect, role, role))
		// In use or locked: another user granted the role a right, or is about to.
		if dropped = err == nil; !database.IsInUse(err) && !database.IsLocked(err) {
			return err
		}
		// On CockroachDB the text is no transaction, so the REVOKE took effect and is undone here.
		failure := e.exec(ctx, db, fmt.Sprintf(`GRANT CONNECT ON DATABASE %s TO %s`, connect, role))
		if database.IsLocked(err) && failure == nil {
			return err
		}
		return failure
	})
	return dropped, err
}

// removeRole drops the role of a deleted user with what it still owns in each database, or returns a *DependencyError.
func (e *Engine) removeRole(ctx context.Context, d *dialect, role string) error {
	if d.databasesOf != "" {
		var databases []string
		add := func(name, _ string) { databases = append(databases, name) }
		err := e.forEachRow(ctx, "", func() { databases = nil }, add, d.databasesOf, role)
		if err != nil {
			return err
		}
		for _, name := range databases {
			if err := e.dropOwned(ctx, d, role, name); err != nil {
				return err
			}
		}
	}
	dropped, err := e.dropRole(ctx, d, role)
	if err != nil || dropped {
		return err
	}
	kept := &engine.DependencyError{Object: "the role " + role + ", whose login is disabled,"}
	if d.dependsOnRole != "" {
		add := func(name, _ string) { kept.Dependents = append(kept.Dependents, name) }
		err = e.forEachRow(ctx, "", func() { kept.Dependents = nil }, add, d.dependsOnRole, role)
	}
	if err != nil {
		return err
	}
	return kept
}

// dropOwned drops what a role owns in a database, and revokes its rights there, whoever granted them. What Inner may not
// drop or others depend on stays: then the role cannot be dropped, and the error says so.
func (e *Engine) dropOwned(ctx context.Context, d *dialect, role, databaseName string) error {
	if err := e.unlinkLargeObjects(ctx, d, role, databaseName); err != nil {
		return err
	}
	err := e.asMember(ctx, role, func() error {
		return e.on(ctx, databaseName, func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, d.withLockTimeout(shortLockTimeout)+`DROP OWNED BY `+database.Quote(role))
		})
	})
	if isMissing(err) || database.IsForbidden(err) || database.IsInUse(err) {
		return nil
	}
	return err
}

// unlinkLargeObjects deletes large objects of a role in a database: they are in no schema and are not dropped with one. There may
// be any number: while some are left it returns ErrUnfinished.
func (e *Engine) unlinkLargeObjects(ctx context.Context, d *dialect, role, databaseName string) error {
	isOpen, err := e.allowsConnections(ctx, databaseName)
	if err != nil || !isOpen || d.unlinkLargeObjects == nil {
		return err
	}
	err = e.retryAfterRelease(ctx, d, role, func() error {
		var unlinked map[string]int64
		err := e.asMember(ctx, role, func() (err error) {
			unlinked, err = e.queryNumbers(ctx, databaseName, d.withLockTimeout(shortLockTimeout)+d.unlinkLargeObjects(role))
			return err
		})
		if err == nil && unlinked["unlinked"] == maxObjectsPerDrop {
			return engine.ErrUnfinished
		}
		return err
	})
	if isMissing(err) {
		return nil
	}
	return err
}
