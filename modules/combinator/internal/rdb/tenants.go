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
	d, err := e.getDialect(ctx)
	if err != nil {
		return nil, err
	}
	m, err := e.loadMarks(ctx)
	if err != nil {
		return nil, err
	}
	parts, unmarked := map[string][]string{}, map[string]bool{}
	for _, part := range e.DesiredParts() {
		owners := make(map[string]engine.Tenant, len(tenants))
		names := make([]string, 0, len(tenants))
		query := databasesByName
		for _, t := range tenants {
			name := t.Names.Database
			if part == engine.RolePart {
				name, query = t.Names.Role, d.roles
			}
			owners[name] = t
			names = append(names, name)
		}
		found := map[string]string{}
		add := func(name, mark string) { found[name] = mark }
		err := e.forEachRow(ctx, "", func() { clear(found) }, add, query, database.Array(names))
		if err != nil {
			return nil, err
		}
		for name, mark := range found {
			t := owners[name]
			owner := m.ownerOf(mark, t.UserUID)
			if mayDrop(owner, t) {
				parts[t.UserUID] = append(parts[t.UserUID], part)
				unmarked[t.UserUID] = unmarked[t.UserUID] || owner != ownedByUs
			}
		}
	}
	for uid := range parts {
		if !unmarked[uid] {
			parts[uid] = append(parts[uid], engine.MarkPart)
		}
	}
	return parts, nil
}
