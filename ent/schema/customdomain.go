package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// CustomDomain is a user's own domain for a worker. Owned by Outer; Inner updates status.
type CustomDomain struct{ ent.Schema }

// Annotations names the table.
func (CustomDomain) Annotations() []schema.Annotation { return table("custom_domains") }

// Fields lists the columns.
func (CustomDomain) Fields() []ent.Field {
	return []ent.Field{
		field.String("cdid").SchemaType(varchar(64)).Unique(),
		field.String("user_uid").SchemaType(varchar(64)),
		field.String("domain").SchemaType(varchar(255)).Unique(),
		field.String("target").SchemaType(varchar(255)),
		field.String("txt_name").SchemaType(varchar(255)),
		field.String("txt_value").SchemaType(varchar(255)),
		field.String("status").SchemaType(varchar(16)).Default("pending"),
		createdAt(),
	}
}

// Indexes lists the indexes.
func (CustomDomain) Indexes() []ent.Index {
	return []ent.Index{index.Fields("user_uid")}
}
