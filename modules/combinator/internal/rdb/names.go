package rdb

import (
	"strings"

	"app238.com/inner/app/config"
	"app238.com/inner/app/identifier"
	"app238.com/inner/modules/combinator/internal/engine"
)

// names makes the names of what a user has in the engine.
type names struct {
	ownDatabase            bool
	database, schema, role identifier.Template
}

func newNames(c config.RDB) (names, error) {
	database, schema, role, err := c.Names.Templates()
	return names{ownDatabase: c.Names.Database != "", database: database, schema: schema, role: role}, err
}

// place is where a user's things are. An empty database is the one that all users share.
type place struct{ database, role string }

func (n names) place(userUID string) place {
	p := place{role: n.role.Name(userUID, "")}
	if n.ownDatabase {
		p.database = n.database.Name(userUID, "")
	}
	return p
}

// schema is a schema's name, and the comment by which Inner knows that it has made it, and for whom.
type schema struct{ name, mark string }

const marked = "inner-gateway "

func (e *Engine) schema(r engine.Resource) schema {
	return schema{name: e.names.schema.Name(r.UserUID, r.ResourceID), mark: marked + r.UserUID + "/" + r.ResourceID}
}

// made reads a schema's mark. It returns false for schemas that Inner has not made: those that have no mark, or another
// name than it would have given them in this database.
func (e *Engine) made(database, name, mark string) (engine.Resource, bool) {
	text, ok := strings.CutPrefix(mark, marked)
	userUID, resourceID, whole := strings.Cut(text, "/")
	r := engine.Resource{UserUID: userUID, ResourceID: resourceID}
	if !ok || !whole || identifier.Check("user_uid", userUID) != nil || identifier.Check("resource_id", resourceID) != nil {
		return engine.Resource{}, false
	}
	return r, e.schema(r).name == name && e.names.place(userUID).database == database
}
