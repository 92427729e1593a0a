package rdb

import (
	"context"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// databasesByName reads those of some databases that exist, with their marks.
const databasesByName = `SELECT d.datname, COALESCE(shobj_description(d.oid, 'pg_database'), '') FROM pg_database d
WHERE d.datname = ANY($1::TEXT[])`

// DesiredParts implements engine.RDB.
func (e *Engine) DesiredParts() (parts []string) {
	if e.withRoles() {
		parts = append(parts, engine.RolePart)
	}
	if e.names.ownDatabase {
		parts = append(parts, engine.DatabasePart)
	}
	return parts
}

// ActualParts implements engine.RDB. It queries only the names of these users, so that no other role or database is taken
// for a user's.
func (e *Engine) ActualParts(ctx context.Context, tenants []engine.Tenant) (map[string][]string, error) {
	all, err := e.partOwnerships(ctx, tenants)
	if err != nil {
		return nil, err
	}
	parts := map[string][]string{}
	for _, t := range tenants {
		isMarked := true
		for _, part := range e.DesiredParts() {
			if owner, ok := all[t.UserUID][part]; ok && mayDrop(owner, t) {
				parts[t.UserUID] = append(parts[t.UserUID], part)
				isMarked = isMarked && owner == ownedByUs
			}
		}
		if len(parts[t.UserUID]) > 0 && isMarked {
			parts[t.UserUID] = append(parts[t.UserUID], engine.MarkPart)
		}
	}
	return parts, nil
}

// partOwnerships returns the ownership of each part of these users that exists, by user and part.
func (e *Engine) partOwnerships(ctx context.Context, tenants []engine.Tenant) (map[string]map[string]ownership, error) {
	d, err := e.getDialect(ctx)
	if err != nil {
		return nil, err
	}
	m, err := e.loadMarks(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]map[string]ownership{}
	for _, part := range e.DesiredParts() {
		users := make(map[string]string, len(tenants))
		names := make([]string, 0, len(tenants))
		for _, t := range tenants {
			name := partName(part, t.Names)
			users[name] = t.UserUID
			names = append(names, name)
		}
		query := databasesByName
		if part == engine.RolePart {
			query = d.roles
		}
		found := map[string]string{}
		add := func(name, mark string) { found[name] = mark }
		err := e.forEachRow(ctx, "", func() { clear(found) }, add, query, database.Array(names))
		if err != nil {
			return nil, err
		}
		for name, mark := range found {
			uid := users[name]
			if all[uid] == nil {
				all[uid] = map[string]ownership{}
			}
			all[uid][part] = m.ownerOf(mark, uid)
		}
	}
	return all, nil
}

func partName(part string, names engine.TenantNames) string {
	if part == engine.RolePart {
		return names.Role
	}
	return names.Database
}

// remainingParts reports whether the user has nothing that this platform may have created, and what another platform has under
// the user's names.
func (e *Engine) remainingParts(ctx context.Context,
	tenant engine.Tenant) (empty bool, other *engine.OtherPlatformError, err error) {
	all, err := e.partOwnerships(ctx, []engine.Tenant{tenant})
	if err != nil {
		return false, nil, err
	}
	empty = true
	for _, part := range e.DesiredParts() {
		switch owner, ok := all[tenant.UserUID][part]; {
		case ok && owner == ownedByOther:
			other = &engine.OtherPlatformError{Object: "the " + part + " " + partName(part, tenant.Names)}
		case ok:
			empty = false
		}
	}
	return empty, other, nil
}

// isEmpty reports whether the user has nothing that this platform may have created. What another platform has under the user's
// names is an error.
func (e *Engine) isEmpty(ctx context.Context, tenant engine.Tenant) (bool, error) {
	empty, other, err := e.remainingParts(ctx, tenant)
	if err == nil && other != nil {
		return false, other
	}
	return empty, err
}
