package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// CombinatorResource is a user's SQL schema (rdb) or key-value namespace (kv). Owned by Outer; Inner updates status
// and msg. Nothing makes (user_uid, resource_id) unique.
type CombinatorResource struct{ ent.Schema }

// Annotations names the table.
func (CombinatorResource) Annotations() []schema.Annotation { return table("combinator_resources") }

// Fields lists the columns.
func (CombinatorResource) Fields() []ent.Field {
	return []ent.Field{
		field.String("user_uid").SchemaType(varchar(64)),
		field.String("resource_type").SchemaType(varchar(32)),
		field.String("resource_id").SchemaType(varchar(64)),
		field.String("status").SchemaType(varchar(16)).Default("loading"),
		field.String("msg").SchemaType(textType).Default(""),
		createdAt(),
	}
}

// Indexes lists the indexes.
func (CombinatorResource) Indexes() []ent.Index {
	return []ent.Index{index.Fields("user_uid", "resource_id")}
}
