package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// CombinatorTenant is a user of the RDB engine. Its row is locked while the user's objects there are changed, so that two
// processes do not change them at once. Owned by Inner.
type CombinatorTenant struct{ ent.Schema }

// Annotations names the table.
func (CombinatorTenant) Annotations() []schema.Annotation { return table("combinator_tenants") }

// Fields lists the columns.
func (CombinatorTenant) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("user_uid").SchemaType(varchar(64)),
		field.String("prepared").SchemaType(textType).Default("").
			Comment("hash of the secret key and the limits that the user's role was given last"),
		field.Time("changed_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")),
	}
}
