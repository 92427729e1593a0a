package rdb

import (
	"context"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// Which of some roles and databases exist.
const (
	theseRoles     = `SELECT rolname FROM pg_roles WHERE rolname = ANY($1::TEXT[])`
	theseDatabases = `SELECT datname FROM pg_database WHERE datname = ANY($1::TEXT[])`
)

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

// TenantName implements engine.RDB.
func (e *Engine) TenantName(userUID string) string {
	p := e.names.place(userUID)
	if e.withRoles() {
		return p.role
	}
	return p.database
}

// Tenants implements engine.RDB. It asks for the names of these users and nothing else, so that no role or database of
// anyone else's is ever taken for a user's.
func (e *Engine) Tenants(ctx context.Context, userUIDs []string) (map[string][]string, error) {
	parts := map[string][]string{}
	for _, part := range e.TenantParts() {
		owners := make(map[string]string, len(userUIDs))
		names := make([]string, 0, len(userUIDs))
		query := theseDatabases
		for _, uid := range userUIDs {
			p := e.names.place(uid)
			name := p.database
			if part == engine.RolePart {
				name, query = p.role, theseRoles
			}
			owners[name] = uid
			names = append(names, name)
		}
		found, err := e.column(ctx, "", query, database.Array(names))
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			parts[owners[name]] = append(parts[owners[name]], part)
		}
	}
	return parts, nil
}
