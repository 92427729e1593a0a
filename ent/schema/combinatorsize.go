package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// CombinatorSize is how large a user's SQL schema was when it was last measured. Owned by Inner.
type CombinatorSize struct{ ent.Schema }

// Annotations names the table.
func (CombinatorSize) Annotations() []schema.Annotation { return table("combinator_sizes") }

// Fields lists the columns.
func (CombinatorSize) Fields() []ent.Field {
	return []ent.Field{
		field.String("user_uid").SchemaType(varchar(64)),
		field.String("resource_id").SchemaType(varchar(64)),
		field.Int64("bytes"),
		field.Time("measured_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")),
	}
}

// Indexes lists the indexes.
func (CombinatorSize) Indexes() []ent.Index {
	return []ent.Index{index.Fields("user_uid", "resource_id").Unique().StorageKey("combinator_sizes_once")}
}
