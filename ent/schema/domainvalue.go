package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// DomainValue is a verification value and the user for whom it was first seen: it proves nothing for another one. Owned
// by Inner.
type DomainValue struct{ ent.Schema }

// Annotations names the table.
func (DomainValue) Annotations() []schema.Annotation { return table("inner_domain_values") }

// Fields lists the columns.
func (DomainValue) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("txt_value").SchemaType(varchar(255)),
		field.String("user_uid").SchemaType(varchar(64)),
		createdAt(),
	}
}
