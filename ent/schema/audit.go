package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Audit is one execution of the audit. Owned by Inner, like AuditCount.
type Audit struct{ ent.Schema }

// Annotations names the table.
func (Audit) Annotations() []schema.Annotation { return table("inner_audits") }

// Fields lists the columns.
func (Audit) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("task_id").Comment("console_tasks.id; a task that runs again after a crash goes on with its audit"),
		field.String("mode").SchemaType(textType),
		field.String("refusal").SchemaType(textType).Default("").Comment("why nothing was deleted, '' where nothing spoke against it"),
		field.Time("started_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")),
		field.Time("finished_at").SchemaType(timestampType).Optional().Nillable(),
	}
}

// Indexes lists the indexes.
func (Audit) Indexes() []ent.Index {
	return []ent.Index{index.Fields("task_id").Unique().StorageKey("inner_audits_once")}
}
