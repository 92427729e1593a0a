package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// Platform is what Inner records once of the platform as a whole, by name. Owned by Inner.
type Platform struct{ ent.Schema }

// Annotations names the table.
func (Platform) Annotations() []schema.Annotation { return table("inner_platform") }

// Fields lists the columns.
func (Platform) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("name").SchemaType(textType).Comment("what is recorded: database is the id of this database, mark key the key of the marks in the engines"),
		field.String("value").SchemaType(textType),
		field.Time("created_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")),
	}
}
