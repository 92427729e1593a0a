package typecheck_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/cockroach/typecheck"
)

// newChecker knows the platform's own tables.
func newChecker(t *testing.T) *typecheck.Checker {
	t.Helper()
	var scripts []string
	for _, name := range []string{"outer.sql", "inner.sql"} {
		script, err := os.ReadFile(filepath.Join("..", "..", "..", "app", "database", name))
		require.NoError(t, err)
		scripts = append(scripts, string(script))
	}
	c, err := typecheck.New(scripts...)
	require.NoError(t, err)
	return c
}

// Each of the first eight stood in the product, passed PostgreSQL and CockroachDB's parser, and would have failed on a
// CockroachDB.
var refused = map[string]string{
	"lease of a domain's claim": `UPDATE inner_domain_checks AS s SET lease_until = LOCALTIMESTAMP + $1 * INTERVAL '1 second' WHERE s.cdid = ANY($2)`,
	"time of an apply":          `UPDATE inner_domain_checks AS s SET applying_until = LOCALTIMESTAMP + $3 * INTERVAL '1 second' WHERE s.cdid = $1 AND s.revision = $2`,
	"grace of a removal":        `SELECT s.cdid FROM inner_domain_checks s WHERE s.gone_at <= LOCALTIMESTAMP - $1 * INTERVAL '1 second'`,
	"share of the missing":      `SELECT count(*) FILTER (WHERE gone) <= CAST($1 AS FLOAT8) * count(*) FROM inner_domain_checks`,
	"list of schemas":           `SELECT n.nspname FROM pg_namespace n WHERE substr(n.nspname, 1, length($1)) = $1 AND n.nspname > $2 LIMIT $3`,
	"list of databases":         `SELECT datname FROM pg_database WHERE substr(datname, 1, length($1)) = $1 ORDER BY datname`,
	"sizes": `SELECT n.nspname, COALESCE(sum(s.approximate_disk_bytes), 0)::BIGINT FROM pg_namespace n LEFT JOIN (
		SELECT t.schema_name, z.approximate_disk_bytes FROM crdb_internal.tables t
		CROSS JOIN LATERAL crdb_internal.tenant_span_stats(t.parent_id, t.table_id) AS z WHERE t.database_name = current_database()
		) s ON s.schema_name = n.nspname WHERE substr(n.nspname, 1, length($1)) = $1 GROUP BY n.nspname`,
	"schemas in use": `SELECT current_database(), (SELECT count(*) FROM pg_namespace n
		WHERE substr(n.nspname, 1, length($2)) = $2 AND has_schema_privilege(r.rolname, n.nspname, 'CREATE')) FROM pg_roles r WHERE r.rolname = $1`,

	"float times int without placeholders": `SELECT 1.5::FLOAT8 * count(*) FROM users`,
	"placeholder in a sum":                 `UPDATE workers SET max_replicas = max_replicas + $1 WHERE id = $2`,
	"placeholder joined to text":           `SELECT uid FROM users WHERE email = 'a' || $1`,
	"text into a number":                   `INSERT INTO inner_ticks (name, tick, task_id) VALUES ('a', 'b' || 'c', 1)`,
	"number into a time":                   `UPDATE inner_audits SET finished_at = 5`,
	"condition that is a number":           `SELECT 1 FROM users WHERE id`,
	"text compared with a number":          `SELECT 1 FROM users WHERE uid = id`,
	"unknown table":                        `SELECT 1 FROM nowhere`,
	"unknown column":                       `SELECT nothing FROM users`,
	"unknown column of a subquery":         `SELECT s.id FROM (SELECT uid FROM users) AS s`,
	"unknown function":                     `SELECT nonsense(uid) FROM users`,
	"unknown column of excluded":           `INSERT INTO users (uid) VALUES ($1) ON CONFLICT (uid) DO UPDATE SET email = excluded.nothing`,
	"too many values":                      `INSERT INTO inner_ticks (name, tick) VALUES ('a', 1, 2)`,
	"placeholder of no type":               `SELECT $1 IS NULL`,
	"placeholder of two types":             `SELECT 1 FROM users WHERE uid = $1 AND id = $1`,
	"rows of two types":                    `SELECT id FROM users UNION ALL SELECT uid FROM users`,
	"plan of no statement":                 `EXPLAIN SELECT nothing FROM users`,
	"clause that the grammar lacks":        `ALTER ROLE r CONNECTION LIMIT 1`,
	"block that the parser panics on":      `DO $$ BEGIN END $$`,
	"default of another type":              `ALTER TABLE inner_ticks ADD COLUMN extra TIMESTAMP DEFAULT 5`,
	"index of an unknown column":           `CREATE INDEX i ON users (nothing)`,
	"index with an unknown condition":      `CREATE INDEX i ON users (uid) WHERE nothing = 'a'`,
	"fault in a later statement":           `SELECT 1; SELECT nothing FROM users`,
	"fault in WITH":                        `WITH a AS (SELECT nothing FROM users) SELECT 1`,
	"fault in a nested condition":          `SELECT 1 FROM users u WHERE EXISTS (SELECT 1 FROM workers w WHERE w.user_uid = u.uid AND w.max_replicas = u.uid)`,
}

var taken = map[string]string{
	"lease":          `UPDATE inner_domain_checks AS s SET lease_until = LOCALTIMESTAMP + $1::FLOAT8 * INTERVAL '1 second' WHERE s.cdid = ANY($2)`,
	"share":          `SELECT count(*) FILTER (WHERE gone) <= CAST($1 AS FLOAT8) * CAST(count(*) AS FLOAT8) FROM inner_domain_checks`,
	"prefix":         `SELECT n.nspname FROM pg_namespace n WHERE substr(n.nspname, 1, length($1::TEXT)) = $1 AND n.nspname > $2 LIMIT $3`,
	"rows of arrays": `INSERT INTO inner_domain_values (txt_value, user_uid) SELECT lower(u.v), u.o FROM unnest($1::TEXT[], $2::TEXT[]) WITH ORDINALITY AS u(v, o, n) ORDER BY u.n`,
	"set of rows":    `DELETE FROM users WHERE id IN (SELECT id FROM users WHERE uid = ANY($1)) RETURNING *`,
	"pair of rows":   `SELECT 1 FROM workers WHERE (id, user_uid) IN (SELECT id, uid FROM users)`,
	"excluded":       `INSERT INTO inner_audits (task_id, mode) VALUES ($1, $2) ON CONFLICT (task_id) DO UPDATE SET mode = excluded.mode`,
	"several":        `CREATE SCHEMA "s"; COMMENT ON SCHEMA "s" IS 'x'; GRANT USAGE ON SCHEMA "s" TO "r"`,
	"whole row":      `SELECT md5(string_agg(a::TEXT, '|' ORDER BY a.id)) FROM users AS a`,
	"window":         `SELECT w.n FROM (SELECT row_number() OVER (ORDER BY id) AS n FROM users) AS w WHERE w.n < 5`,
	"using":          `SELECT id, a.uid FROM users AS a JOIN (SELECT uid AS email FROM users) AS b USING (email)`,
}

func TestRefusesWhatCockroachDBRefuses(t *testing.T) {
	t.Parallel()
	c := newChecker(t)
	for name, statement := range refused {
		require.Error(t, c.Check(statement), name)
	}
}

func TestTakesWhatCockroachDBTakes(t *testing.T) {
	t.Parallel()
	c := newChecker(t)
	for name, statement := range taken {
		require.NoError(t, c.Check(statement), name)
		require.NoError(t, c.Check(statement), "%s, again", name)
	}
}

func TestTablesOfOneDatabaseAreItsOwn(t *testing.T) {
	t.Parallel()
	c := newChecker(t)
	one, other := c.Child(), c.Child()
	require.NoError(t, one.Check(`CREATE TABLE kept AS SELECT uid, id AS number FROM users`))
	require.NoError(t, one.Check(`ALTER TABLE kept ADD COLUMN at TIMESTAMP`))
	require.NoError(t, one.Check(`SELECT number FROM kept WHERE uid = $1 AND at > now()`))
	require.Error(t, one.Check(`SELECT nothing FROM kept`))
	require.Error(t, other.Check(`SELECT number FROM kept`))
	require.Error(t, c.Check(`SELECT number FROM kept`))
}
