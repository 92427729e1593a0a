package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// AuditSighting is an orphan that the latest audit of its kind saw.
type AuditSighting struct{ ent.Schema }

// Annotations names the table.
func (AuditSighting) Annotations() []schema.Annotation { return table("inner_audit_sightings") }

// Fields lists the columns.
func (AuditSighting) Fields() []ent.Field {
	return []ent.Field{
		field.String("kind").SchemaType(textType),
		field.String("name").SchemaType(textType),
		field.Int64("first_task").Comment("console_tasks.id of the first audit of an unbroken series that saw it as an orphan"),
		field.Int64("last_task").Comment("of the latest one"),
		field.Time("first_seen_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")),
		field.Time("last_seen_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")),
	}
}

// Indexes lists the indexes.
func (AuditSighting) Indexes() []ent.Index {
	return []ent.Index{index.Fields("kind", "name").Unique().StorageKey("inner_audit_sightings_once")}
}
