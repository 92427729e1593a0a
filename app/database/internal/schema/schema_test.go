package schema_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database/internal/schema"
)

const (
	outer = `
CREATE TABLE owners (
    id BIGINT PRIMARY KEY,
    name VARCHAR(8) NOT NULL
);
CREATE UNIQUE INDEX owners_name ON owners (name);`

	inner = `
-- A comment; with a semicolon.
CREATE TABLE IF NOT EXISTS things (
    id BIGINT PRIMARY KEY,
    label TEXT NOT NULL DEFAULT 'a,(b',
    owner BIGINT,
    CONSTRAINT things_owner FOREIGN KEY (owner) REFERENCES owners (id)
);
ALTER TABLE things ADD COLUMN IF NOT EXISTS size NUMERIC(3, 1) NOT NULL DEFAULT 0;
ALTER TABLE things ADD COLUMN IF NOT EXISTS owner BIGINT;
CREATE INDEX IF NOT EXISTS things_size ON things (size)
    WHERE size > 0;
DROP INDEX IF EXISTS things_old;
CREATE UNIQUE INDEX IF NOT EXISTS things_label ON things (label);`
)

func parse(t *testing.T) *schema.Schema {
	t.Helper()
	s, err := schema.Parse(outer, inner)
	require.NoError(t, err)
	return s
}

// sent returns all statements that a database is sent.
func sent(t *testing.T, have *schema.Catalogue) []string {
	t.Helper()
	steps, err := parse(t).Missing(have)
	require.NoError(t, err)
	var all []string
	for _, s := range steps {
		for _, statement := range s.Statements {
			all = append(all, strings.Join(strings.Fields(statement), " "))
		}
	}
	return all
}

// complete returns the catalogue of a database that lacks nothing.
func complete(postgres bool) *schema.Catalogue {
	return &schema.Catalogue{
		Postgres: postgres,
		Columns:  map[string][]string{"owners": {"id"}, "things": {"id", "label", "owner", "size"}},
		Indexes: []schema.FoundIndex{{Name: "things_size", Table: "things", Valid: true},
			{Name: "things_label", Table: "things", Valid: true}},
	}
}

func TestCompleteDatabaseHasNoSteps(t *testing.T) {
	t.Parallel()
	require.Empty(t, sent(t, complete(true)))
	require.Empty(t, sent(t, complete(false)))
}

func TestMissingTableIsCreatedWithAllColumns(t *testing.T) {
	t.Parallel()
	const (
		whole   = `CREATE TABLE owners ( id BIGINT PRIMARY KEY, name VARCHAR(8) NOT NULL, CONSTRAINT owners_name UNIQUE (name) )`
		owners  = `CREATE TABLE owners ( id BIGINT PRIMARY KEY, name VARCHAR(8) NOT NULL )`
		name    = `CREATE UNIQUE INDEX IF NOT EXISTS owners_name ON owners (name)`
		things  = `CREATE TABLE IF NOT EXISTS things ( id BIGINT PRIMARY KEY, label TEXT NOT NULL DEFAULT 'a,(b', owner BIGINT, size NUMERIC(3, 1) NOT NULL DEFAULT 0, CONSTRAINT things_owner FOREIGN KEY (owner) REFERENCES owners (id) )`
		ofSize  = `CREATE INDEX IF NOT EXISTS things_size ON things (size) WHERE size > 0`
		ofLabel = `CREATE UNIQUE INDEX IF NOT EXISTS things_label ON things (label)`
	)
	require.Equal(t, []string{whole, things, ofSize, ofLabel}, sent(t, &schema.Catalogue{}), "each statement may be the last one")
	require.Equal(t, []string{owners + "; " + name, things, ofSize, ofLabel}, sent(t, &schema.Catalogue{Postgres: true}),
		"Outer's tables are made as a whole")
}

func TestMissingColumnsAreAddedAtOnce(t *testing.T) {
	t.Parallel()
	have := complete(true)
	have.Columns["things"] = []string{"id", "of_others"}
	require.Equal(t, []string{
		`ALTER TABLE things ADD COLUMN IF NOT EXISTS label TEXT NOT NULL DEFAULT 'a,(b', ADD COLUMN IF NOT EXISTS owner BIGINT, ADD COLUMN IF NOT EXISTS size NUMERIC(3, 1) NOT NULL DEFAULT 0`,
	}, sent(t, have))
}

func TestIndexesOfExistingTableAreBuiltConcurrently(t *testing.T) {
	t.Parallel()
	have := complete(true)
	have.Indexes = []schema.FoundIndex{{Name: "things_size", Table: "things"}, {Name: "things_old", Table: "things", Valid: true}}
	require.Equal(t, []string{
		`DROP INDEX CONCURRENTLY IF EXISTS things_size`,
		`CREATE INDEX CONCURRENTLY IF NOT EXISTS things_size ON things (size) WHERE size > 0`,
		`CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS things_label ON things (label)`,
		`DROP INDEX CONCURRENTLY IF EXISTS things_old`,
	}, sent(t, have), "an invalid one is made again")
	have.Postgres = false
	for _, statement := range sent(t, have) {
		require.NotContains(t, statement, "CONCURRENTLY")
	}
}

func TestForeignTableIsRefused(t *testing.T) {
	t.Parallel()
	have := complete(true)
	have.Columns["things"] = []string{"label"}
	_, err := parse(t).Missing(have)
	require.ErrorContains(t, err, "table things has no column id")
}

func TestUnknownStatementsAreRefused(t *testing.T) {
	t.Parallel()
	const table = "CREATE TABLE IF NOT EXISTS a (id BIGINT PRIMARY KEY);\n"
	for _, statement := range []string{
		`INSERT INTO a (id) VALUES (1)`, `ALTER TABLE a DROP COLUMN id`, `ALTER TABLE a ADD COLUMN b TEXT`, `DROP TABLE a`,
		`CREATE INDEX IF NOT EXISTS i ON b (id)`, `ALTER TABLE a ADD COLUMN IF NOT EXISTS id TEXT`, table[:len(table)-2],
		`ALTER TABLE owners ADD COLUMN IF NOT EXISTS b TEXT`, `CREATE INDEX IF NOT EXISTS i ON owners (name)`,
		`CREATE TABLE IF NOT EXISTS b (id BIGINT DEFAULT f()`, `CREATE TABLE IF NOT EXISTS b (id)`,
	} {
		_, err := schema.Parse(outer, table+statement+";")
		require.Error(t, err, statement)
	}
	_, err := schema.Parse(outer, table+"ALTER TABLE a\n    ADD COLUMN IF NOT EXISTS b TEXT;\n")
	require.NoError(t, err)
}
