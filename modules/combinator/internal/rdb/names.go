package rdb

import (
	"strings"

	"app238.com/inner/app/config"
	"app238.com/inner/app/identifier"
	"app238.com/inner/modules/combinator/internal/engine"
)

// names holds the templates of the names in the engine.
type names struct {
	ownDatabase            bool
	database, schema, role identifier.Template
}

func newNames(c config.RDB) (names, error) {
	database, schema, role, err := c.Names.Templates()
	return names{ownDatabase: c.Names.Database != "", database: database, schema: schema, role: role}, err
}

// TenantNames implements engine.RDB.
func (e *Engine) TenantNames(userUID string) (p engine.TenantNames) {
	if e.withRoles() {
		p.Role = e.names.role.Name(userUID, "")
	}
	if e.names.ownDatabase {
		p.Database = e.names.database.Name(userUID, "")
	}
	return p
}

// Name implements engine.RDB.
func (e *Engine) Name(r engine.Resource) string {
	return qualifiedName(e.TenantNames(r.UserUID).Database, e.names.schema.Name(r.UserUID, r.ResourceID))
}

// dot separates a user's own database from the schema in it; no name that Inner gives contains one.
const dot = "."

// qualifiedName returns the name of a schema in a database; "" is the database that all users share.
func qualifiedName(database, schema string) string {
	if database == "" {
		return schema
	}
	return database + dot + schema
}

// schema is a resource's schema. An empty database is the one that all users share.
type schema struct {
	database, name string
	resource       engine.Resource
}

// parseSchema splits a qualified name.
func parseSchema(r engine.Resource, name string) schema {
	if database, inner, ok := strings.Cut(name, dot); ok {
		return schema{database: database, name: inner, resource: r}
	}
	return schema{name: name, resource: r}
}
