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
		// What it has claimed and not done yet, by its last heartbeat.
		field.Int64("waiting_claims").Default(0),
		field.Float("oldest_waiting_seconds").Default(0),
		field.Int64("overrun_jobs").Default(0),
	}
}
