package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
)

// Worker is a user's container application. Owned by Outer; Inner updates status and active_version_id.
type Worker struct{ ent.Schema }

// Annotations names the table.
func (Worker) Annotations() []schema.Annotation { return table("workers") }

// Fields lists the columns.
func (Worker) Fields() []ent.Field {
	return []ent.Field{
		field.String("wid").SchemaType(varchar(64)).Unique(),
		field.String("user_uid").SchemaType(varchar(64)),
		field.String("worker_name").SchemaType(varchar(255)),
		field.String("status").SchemaType(varchar(16)).Default("unloaded"),
		field.Int("active_version_id").SchemaType(integerType).Optional().Nillable(),
		field.String("env_json").SchemaType(textType).Default("{}").Sensitive(),
		field.String("secrets_json").SchemaType(textType).Default("[]"),
		field.String("assigned_cpu").SchemaType(varchar(32)).Default("1"),
		field.String("assigned_memory").SchemaType(varchar(32)).Default("500Mi"),
		field.String("assigned_disk").SchemaType(varchar(32)).Default("2Gi"),
		field.Int("max_replicas").SchemaType(integerType).Default(1),
		field.String("main_region").SchemaType(varchar(64)).Default("global"),
		createdAt(),
	}
}

// Edges links the deploy versions.
func (Worker) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("versions", WorkerDeployVersion.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}
