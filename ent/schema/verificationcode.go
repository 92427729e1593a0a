package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// VerificationCode is a code that Outer mailed to a user. Outer's alone: Inner only makes the table.
type VerificationCode struct{ ent.Schema }

// Annotations names the table.
func (VerificationCode) Annotations() []schema.Annotation { return table("verification_codes") }

// Fields lists the columns.
func (VerificationCode) Fields() []ent.Field {
	return []ent.Field{
		field.String("email").SchemaType(varchar(255)),
		field.String("code").SchemaType(varchar(6)).Sensitive(),
		createdAt(),
		field.Time("expires_at").SchemaType(timestampType),
		field.Bool("used").Default(false),
	}
}
