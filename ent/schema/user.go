package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// User is an account of the platform. Owned by Outer, read by Inner.
type User struct{ ent.Schema }

// Annotations names the table.
func (User) Annotations() []schema.Annotation { return table("users") }

// Fields lists the columns.
func (User) Fields() []ent.Field {
	return []ent.Field{
		field.String("uid").SchemaType(varchar(64)).Unique(),
		field.String("email").SchemaType(varchar(255)).Unique(),
		field.String("password_hash").SchemaType(varchar(255)).Sensitive(),
		field.String("secret_key").SchemaType(varchar(256)).Sensitive(),
		createdAt(),
	}
}
