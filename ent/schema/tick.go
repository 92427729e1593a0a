package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Tick is one execution of a periodic job: whoever inserts it runs the job. Owned by Inner.
type Tick struct{ ent.Schema }

// Annotations names the table.
func (Tick) Annotations() []schema.Annotation { return table("inner_ticks") }

// Fields lists the columns.
func (Tick) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").SchemaType(textType),
		field.Int64("tick").Comment("number of the execution; earlier releases: of whole intervals since the Unix epoch"),
		field.Int64("task_id").Comment("console_tasks.id of the execution"),
		field.Int64("due").Default(0).Comment("Unix time in seconds at which its tick began; 0: between ticks"),
		field.Int64("interval_seconds").Default(0).Comment("time between two ticks of the process that made it"),
		field.Time("created_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")),
	}
}

// Indexes lists the indexes.
func (Tick) Indexes() []ent.Index {
	return []ent.Index{index.Fields("name", "tick").Unique().StorageKey("inner_ticks_once")}
}
