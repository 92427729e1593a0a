package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// ConsoleTask is one accepted task and where it stands. Owned by Inner, written by modules/tasks alone.
type ConsoleTask struct{ ent.Schema }

// Annotations names the table.
func (ConsoleTask) Annotations() []schema.Annotation { return table("console_tasks") }

// Fields lists the columns.
func (ConsoleTask) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.String("task_type").SchemaType(textType),
		field.String("task_status").SchemaType(textType).Default("pending"),
		field.String("task_detailed_status").SchemaType(textType).Default(""),
		field.String("task_info").SchemaType(textType).Default("{}").Sensitive(),
		createdAt(),
		field.String("lane").SchemaType(textType).Default("default").
			Comment("tasks of different lanes do not wait for each other's workers"),
		field.String("ordering_key").SchemaType(textType).Default("").
			Comment("tasks with the same key run one at a time, in the order of their ids"),
		field.Time("run_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")).
			Comment("not before this moment; of a parked task, when it is looked at again untold"),
		field.Int("attempts").SchemaType(integerType).Default(0).Comment("executions that failed or are under way"),
		field.String("claimed_by").SchemaType(textType).Default("").Comment("inner_processes.id of the process that has it"),
		field.Int64("claim_number").Default(0).Comment("counts the claims; fences writes of earlier claimers"),
		field.Int("takeovers").SchemaType(integerType).Default(0).Comment("processes that ended while they had it"),
		field.Bool("woken").Default(false).Comment("what the task may park for came before it was parked"),
		field.String("idempotency_key").SchemaType(textType).Optional().Nillable(),
		field.String("last_error").SchemaType(textType).Default(""),
		field.String("attempt_errors").SchemaType(textType).Default("").Comment("a JSON object a line for every attempt that failed"),
		field.Int("accept_ordinal").SchemaType(integerType).Default(0).Comment("place among those accepted in the same commit"),
		field.Time("started_at").SchemaType(timestampType).Optional().Nillable(),
		field.Time("finished_at").SchemaType(timestampType).Optional().Nillable(),
		field.String("trace_parent").SchemaType(textType).Optional().Nillable().
			Comment("trace of the request that the task came with, a W3C traceparent"),
		field.String("info_hash").SchemaType(textType).Optional().Nillable().Sensitive().
			Comment("keyed hash of a payload with secrets that came with an idempotency key, to compare once they are erased"),
	}
}

// Indexes lists the indexes, their conditions as PostgreSQL shows them so that Ent can compare. The partial ones keep the queue's cost independent of how many tasks have ended.
func (ConsoleTask) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("ordering_key").Unique().StorageKey("console_tasks_one_per_key").
			Annotations(entsql.IndexWhere("(task_status = 'processing'::text)")),
		index.Fields("lane", "id").StorageKey("console_tasks_ready").
			Annotations(entsql.IndexWhere("((task_status = 'pending'::text) AND (lane <> ''::text))")),
		index.Fields("ordering_key", "id").StorageKey("console_tasks_pending_key").
			Annotations(entsql.IndexWhere("(task_status = 'pending'::text)")),
		index.Fields("ordering_key").StorageKey("console_tasks_waiting").
			Annotations(entsql.IndexWhere("(task_status = 'waiting'::text)")),
		index.Fields("idempotency_key").Unique().StorageKey("console_tasks_idempotency").
			Annotations(entsql.IndexWhere("idempotency_key IS NOT NULL")),
	}
}
