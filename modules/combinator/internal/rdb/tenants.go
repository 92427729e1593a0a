package rdb

import (
	"context"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// theseDatabases are those of some that exist, with their marks.
const theseDatabases = `SELECT d.datname, COALESCE(shobj_description(d.oid, 'pg_database'), '') FROM pg_database d
WHERE d.datname = ANY($1::TEXT[])`

// TenantParts implements engine.RDB.
func (e *Engine) TenantParts() (parts []string) {
	if e.withRoles() {
		parts = append(parts, engine.RolePart)
	}
	if e.names.ownDatabase {
		parts = append(parts, engine.DatabasePart)
	}
	return parts
}

// Tenants implements engine.RDB. It asks for the names of these users and nothing else, so that no role or database of
// anyone else's is ever taken for a user's.
func (e *Engine) Tenants(ctx context.Context, tenants []engine.Tenant) (map[string][]string, error) {
	all, err := e.owners(ctx, tenants)
	if err != nil {
		return nil, err
	}
	parts := map[string][]string{}
	for _, t := range tenants {
		marked := true
		for _, part := range e.TenantParts() {
			if whose, ok := all[t.UserUID][part]; ok && mayDrop(whose, t) {
				parts[t.UserUID] = append(parts[t.UserUID], part)
				marked = marked && whose == ours
			}
		}
		if len(parts[t.UserUID]) > 0 && marked {
			parts[t.UserUID] = append(parts[t.UserUID], engine.MarkPart)
		}
	}
	return parts, nil
}

// owners tells which parts of these users exist, and whose each is, by user and part.
func (e *Engine) owners(ctx context.Context, tenants []engine.Tenant) (map[string]map[string]owner, error) {
	d, err := e.speaks(ctx)
	if err != nil {
		return nil, err
	}
	m, err := e.marks(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]map[string]owner{}
	for _, part := range e.TenantParts() {
		users := make(map[string]string, len(tenants))
		names := make([]string, 0, len(tenants))
		for _, t := range tenants {
			name := nameOf(part, t.Place)
			users[name] = t.UserUID
			names = append(names, name)
		}
		query := theseDatabases
		if part == engine.RolePart {
			query = d.roles
		}
		found := map[string]string{}
		err := e.each(ctx, "", func() { clear(found) }, func(name, mark string) { found[name] = mark }, query, database.Array(names))
		if err != nil {
			return nil, err
		}
		for name, mark := range found {
			uid := users[name]
			if all[uid] == nil {
				all[uid] = map[string]owner{}
			}
			all[uid][part] = m.owner(mark, uid)
		}
	}
	return all, nil
}

func nameOf(part string, place engine.Place) string {
	if part == engine.RolePart {
		return place.Role
	}
	return place.Database
}
