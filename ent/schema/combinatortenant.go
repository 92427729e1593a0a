package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// CombinatorTenant is a user of the RDB engine. Its row is leased while the user's objects there are changed, so that two
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
		field.String("platform").SchemaType(textType).Default("").
			Comment("mark of the platform that made what the user has there; empty: an earlier release did"),
		field.String("role_name").SchemaType(textType).Default("").Comment("the user's role"),
		field.String("database_name").SchemaType(textType).Default("").Comment("the user's own database, where there is one"),
		field.Int64("lease_number").Default(0).Comment("a later one makes this one void"),
		field.Int64("leased_by").Default(0).
			Comment("id of the task that holds the lease, which takes it over from itself; 0: none does"),
		field.Time("leased_until").SchemaType(timestampType).Optional().Nillable().Comment("nobody holds the lease after it"),
	}
}
