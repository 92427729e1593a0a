// Package schema declares, as Ent schemas, the tables of the platform's database that stores use through Ent; all tables are
// declared in app/database.
//
// The Outer Gateway owns users, workers, worker_deploy_versions and combinator_resources; Inner owns the rest. The types are
// the contract's and are the same on PostgreSQL and CockroachDB.
package schema

import (
	"strconv"
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
)

// columnType is the SQL type of a column, for Ent's SchemaType.
type columnType = map[string]string

var (
	textType      = columnType{dialect.Postgres: "text"}
	timestampType = columnType{dialect.Postgres: "timestamp"}
	integerType   = columnType{dialect.Postgres: "integer"}
)

func varchar(n int) columnType {
	return columnType{dialect.Postgres: "varchar(" + strconv.Itoa(n) + ")"}
}

// table names the table of an entity.
func table(name string) []schema.Annotation {
	return []schema.Annotation{entsql.Table(name)}
}

// createdAt is the moment, in UTC, at which a row was inserted; the database sets it where the writer does not.
func createdAt() ent.Field {
	return field.Time("created_at").SchemaType(timestampType).Immutable().Default(utcNow).
		Annotations(entsql.DefaultExpr("LOCALTIMESTAMP"))
}

func utcNow() time.Time { return time.Now().UTC() }
