package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// CombinatorResourceReport is what a Combinator pod measured of one resource over one span of time. Owned by Inner.
type CombinatorResourceReport struct{ ent.Schema }

// Annotations names the table.
func (CombinatorResourceReport) Annotations() []schema.Annotation {
	return table("combinator_resource_reports")
}

// Fields lists the columns.
func (CombinatorResourceReport) Fields() []ent.Field {
	return []ent.Field{
		field.String("user_uid").SchemaType(varchar(64)),
		field.Int("resource_id"),
		field.Int64("datachange").Comment("bytes gained, or lost where negative"),
		field.Time("record_start").SchemaType(timestampType),
		field.Time("record_end").SchemaType(timestampType),
		createdAt(),
		field.String("fingerprint").SchemaType(textType).Optional().Nillable().
			Comment("hash of the report, so that one that is sent again counts once; null in rows of earlier programs"),
	}
}

// Edges links the resource.
func (CombinatorResourceReport) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("resource", CombinatorResource.Type).Ref("reports").Field("resource_id").Unique().Required(),
	}
}

// Indexes lists the indexes.
func (CombinatorResourceReport) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("resource_id", "record_start"),
		index.Fields("fingerprint").Unique().StorageKey("combinator_resource_reports_once"),
	}
}
