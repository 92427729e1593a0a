package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// CombinatorPlace is where a resource is in its engine. It is written before anything is made there, and goes after the last
// of it is gone. Owned by Inner.
type CombinatorPlace struct{ ent.Schema }

// Annotations names the table.
func (CombinatorPlace) Annotations() []schema.Annotation { return table("combinator_places") }

// Fields lists the columns.
func (CombinatorPlace) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.String("resource_type").SchemaType(varchar(32)),
		field.String("user_uid").SchemaType(varchar(64)),
		field.String("resource_id").SchemaType(varchar(64)),
		field.String("platform").SchemaType(textType).Comment("mark of the platform that made the resource"),
		field.String("name").SchemaType(textType).Comment("schema, with the user's own database in front, or prefix of keys"),
		field.Time("created_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")),
	}
}

// Indexes lists the indexes.
func (CombinatorPlace) Indexes() []ent.Index {
	return []ent.Index{index.Fields("resource_type", "user_uid", "resource_id").Unique().StorageKey("combinator_places_once")}
}
