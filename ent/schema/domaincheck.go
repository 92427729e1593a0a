package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// DomainCheck is what Inner knows of a custom domain: the row as it was when its checks began, and how they went. Owned
// by Inner.
type DomainCheck struct{ ent.Schema }

// Annotations names the table.
func (DomainCheck) Annotations() []schema.Annotation { return table("inner_domain_checks") }

// Fields lists the columns.
func (DomainCheck) Fields() []ent.Field {
	return append(domainIdentity(),
		field.Bool("verified").Default(false).Comment("it is served"),
		field.Bool("gone").Default(false).Comment("its row vanished or changed: its objects go, then this row"),
		field.Time("gone_at").SchemaType(timestampType).Optional().Nillable(),
		field.String("wished_status").SchemaType(varchar(16)).Default("").
			Comment("what custom_domains.status is to be; empty: what Outer wrote"),
		field.Int64("revision").Default(1).Comment("grows when its objects may have to change"),
		field.Int64("checks").Default(0).Comment("checks of the schedule"),
		field.Int64("failures").Default(0).Comment("failed checks in a row"),
		field.Int64("unanswered").Default(0).Comment("checks in a row that got no answer"),
		field.Time("failing_since").SchemaType(timestampType).Optional().Nillable(),
		field.Time("begun_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")).
			Comment("begin of the schedule"),
		field.Time("checked_at").SchemaType(timestampType).Optional().Nillable(),
		field.Time("next_check_at").SchemaType(timestampType).Annotations(entsql.DefaultExpr("LOCALTIMESTAMP")),
		field.Time("lease_until").SchemaType(timestampType).Optional().Nillable().Comment("a process is checking it until then"),
		field.Int64("claim_number").Default(0),
		field.Int64("applying").Default(0).Comment("processes that make objects of it"),
		field.Time("applying_until").SchemaType(timestampType).Optional().Nillable().
			Comment("until then one of them may, also if it was killed"),
		field.String("answer").SchemaType(textType).Default("").Comment("kind of the last answer"),
		field.String("detail").SchemaType(textType).Default("").Comment("the last answer in words"),
		field.String("certificate").SchemaType(textType).Default("").Comment("readiness of the certificate in words"),
	)
}

// domainIdentity is the row of custom_domains that the checks are about.
func domainIdentity() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("cdid").SchemaType(varchar(64)),
		field.String("name").SchemaType(textType).Comment("of the objects"),
		field.Int64("row_id").Comment("custom_domains.id"),
		field.String("user_uid").SchemaType(varchar(64)),
		field.String("domain").SchemaType(varchar(255)),
		field.String("target").SchemaType(varchar(255)),
		field.String("txt_name").SchemaType(varchar(255)),
		field.String("txt_value").SchemaType(varchar(255)),
		field.String("host").SchemaType(textType).Default("").Comment("the domain in its one spelling"),
		field.String("target_host").SchemaType(textType).Default("").Comment("the target in its one spelling"),
		field.String("refusal").SchemaType(textType).Default("").Comment("why the row is never served"),
	}
}

// Indexes lists the indexes.
func (DomainCheck) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("host").Unique().StorageKey("inner_domain_checks_one_holder").
			Annotations(entsql.IndexWhere("verified")),
		index.Fields("name").StorageKey("inner_domain_checks_name"),
		index.Fields("next_check_at").StorageKey("inner_domain_checks_due"),
	}
}
