package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// WorkerDeployVersion is one image of a worker that was asked for. Owned by Outer; Inner updates status and msg, and
// inserts one for POST /api/worker/deploy.
type WorkerDeployVersion struct{ ent.Schema }

// Annotations names the table.
func (WorkerDeployVersion) Annotations() []schema.Annotation { return table("worker_deploy_versions") }

// Fields lists the columns.
func (WorkerDeployVersion) Fields() []ent.Field {
	return []ent.Field{
		field.Int("worker_id"),
		field.String("image").SchemaType(varchar(512)),
		field.Int("port").SchemaType(integerType),
		field.String("status").SchemaType(varchar(16)).Default("loading"),
		field.String("msg").SchemaType(textType).Default(""),
		createdAt(),
	}
}

// Edges links the worker.
func (WorkerDeployVersion) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("worker", Worker.Type).Ref("versions").Field("worker_id").Unique().Required(),
	}
}

// Indexes lists the indexes.
func (WorkerDeployVersion) Indexes() []ent.Index {
	return []ent.Index{index.Fields("worker_id")}
}
