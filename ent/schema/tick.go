package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Tick is one due moment of a periodic job: whoever inserts it runs the job. Owned by Inner.
type Tick struct{ ent.Schema }

// Annotations names the table.
func (Tick) Annotations() []schema.Annotation { return table("inner_ticks") }

// Fields lists the columns.
func (Tick) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").SchemaType(textType),
		field.Int64("tick").Comment("number of whole intervals since the Unix epoch; of an execution at a start, the negative id of the row before"),
		field.Int64("task_id").Comment("console_tasks.id of the execution"),
		field.Time("created_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")),
	}
}

// Indexes lists the indexes.
func (Tick) Indexes() []ent.Index {
	return []ent.Index{index.Fields("name", "tick").Unique().StorageKey("inner_ticks_once")}
}
