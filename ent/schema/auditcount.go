package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// AuditCount is what an audit counted of one kind, whose rows it has read to the end.
type AuditCount struct{ ent.Schema }

// Annotations names the table.
func (AuditCount) Annotations() []schema.Annotation { return table("inner_audit_counts") }

// Fields lists the columns.
func (AuditCount) Fields() []ent.Field {
	count := func(name string) ent.Field { return field.Int64(name).Default(0) }
	return []ent.Field{
		field.Int64("task_id").Comment("console_tasks.id of the audit"),
		field.String("kind").SchemaType(textType).Comment("an inventory's, or user"),
		count("things"), count("row_count"), count("missing"), count("stuck"), count("ownerless"), count("orphans"),
		count("repaired"), count("deleted"),
		field.Int64("deletions").Default(0).Comment("counted before each deletion is tried, so that a crash cannot exceed the limit"),
		field.String("refusal").SchemaType(textType).Default(""),
		createdAt(),
	}
}

// Indexes lists the indexes.
func (AuditCount) Indexes() []ent.Index {
	return []ent.Index{index.Fields("task_id", "kind").Unique().StorageKey("inner_audit_counts_once")}
}
