package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// Process is one running Inner and the last sign of life it gave. Owned by Inner.
type Process struct{ ent.Schema }

// Annotations names the table.
func (Process) Annotations() []schema.Annotation { return table("inner_processes") }

// Fields lists the columns.
func (Process) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").SchemaType(textType),
		field.String("host").SchemaType(textType).Default(""),
		field.Time("started_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")),
		field.Time("heartbeat_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")),
	}
}
