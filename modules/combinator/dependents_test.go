package combinator_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

func TestSchemaWithDependentsIsKeptAndDependentsNamed(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "pg_depend")
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			b.user("u1", "sk_u1")
			b.addSchema("u1", "r1")
			b.addSchema("u1", "r2")
			one, two := b.schema("u1", "r1"), b.schema("u1", "r2")
			db := b.login("u1", "sk_u1")
			sql := strings.NewReplacer("ONE", one, "TWO", two).Replace
			_, err := db.Exec(sql(`CREATE TYPE ONE.kind AS ENUM ('a'); CREATE SEQUENCE ONE.numbers; CREATE TABLE ONE.own (k ONE.kind);
CREATE COLLATION ONE.c FROM "C"; CREATE TEXT SEARCH CONFIGURATION ONE.words (COPY = pg_catalog.simple);
CREATE FUNCTION ONE.same(a INT, b INT) RETURNS BOOL LANGUAGE sql IMMUTABLE AS 'SELECT a = b';
CREATE OPERATOR ONE.=== (FUNCTION = ONE.same, LEFTARG = INT, RIGHTARG = INT);
CREATE TABLE ONE.parent (v INT) PARTITION BY LIST (v)`))
			require.NoError(t, err)
			for needs, drop := range map[string]string{
				`CREATE VIEW TWO.seen AS SELECT v FROM ONE.t`:                                                                     `DROP VIEW TWO.seen`,
				`ALTER TABLE TWO.t ADD COLUMN seen ONE.kind`:                                                                      `ALTER TABLE TWO.t DROP COLUMN seen`,
				`CREATE TABLE TWO.seen (v INT DEFAULT nextval('ONE.numbers'::REGCLASS))`:                                          `DROP TABLE TWO.seen`,
				`ALTER TABLE TWO.t ADD COLUMN seen TEXT COLLATE ONE.c`:                                                            `ALTER TABLE TWO.t DROP COLUMN seen`,
				`CREATE VIEW TWO.seen AS SELECT 1 OPERATOR(ONE.===) 1 AS v`:                                                       `DROP VIEW TWO.seen`,
				`ALTER TABLE TWO.t ADD COLUMN seen TSVECTOR GENERATED ALWAYS AS (to_tsvector('ONE.words'::REGCONFIG, '')) STORED`: `ALTER TABLE TWO.t DROP COLUMN seen`,
				`CREATE TABLE TWO.seen PARTITION OF ONE.parent DEFAULT`:                                                           `DROP TABLE TWO.seen`,
				`CREATE FUNCTION TWO.seen(ONE.kind) RETURNS INT LANGUAGE sql AS 'SELECT 1'`:                                       `DROP FUNCTION TWO.seen`,
				`CREATE TABLE TWO.seen (v INT); CREATE INDEX ON TWO.seen ((ONE.same(v, 1)))`:                                      `DROP TABLE TWO.seen`,
				`CREATE TYPE TWO.seen AS (v INT); CREATE FUNCTION ONE.cast(TWO.seen) RETURNS INT LANGUAGE sql AS 'SELECT 1';
CREATE CAST (TWO.seen AS INT) WITH FUNCTION ONE.cast`: `DROP TYPE TWO.seen CASCADE`,
			} {
				_, err := db.Exec(sql(needs))
				require.NoError(t, err, needs)
				b.remove("r1")
				var failed *job.Error
				require.ErrorAs(t, b.run(jobs.DeleteRDBType, ref("u1", "r1")), &failed, needs)
				require.Equal(t, job.Retry, failed.Kind, failed)
				require.Contains(t, failed.Text, "seen", needs)
				require.True(t, b.schemaExists("u1", "r1"))
				require.Empty(t, b.queue.accepted, "no pod is notified")
				_, err = db.Exec(sql(drop))
				require.NoError(t, err)
			}
			require.NoError(t, db.Close())
			require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r1")))
			require.False(t, b.schemaExists("u1", "r1"))
			require.Equal(t, []string{"1"}, column(t, b.login("u1", "sk_u1"), `SELECT v::TEXT FROM `+two+`.t`))
		})
	}
}

func TestDependentsOfOtherUsersDoNotKeepSchema(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "pg_depend")
	b := setup(t)
	for _, uid := range []string{"u1", "u2"} {
		b.user(uid, "sk_"+uid)
		b.addSchema(uid, "r")
	}
	_, err := b.login("u1", "sk_u1").Exec(`CREATE SEQUENCE ` + b.schema("u1", "r") + `.numbers`)
	require.NoError(t, err)
	number := column(t, b.admin(""), `SELECT '`+b.schema("u1", "r")+`.numbers'::REGCLASS::OID::TEXT`)[0]
	_, err = b.login("u2", "sk_u2").Exec(`ALTER TABLE ` + b.schema("u2", "r") + `.t ADD COLUMN n INT; ALTER TABLE ` +
		b.schema("u2", "r") +
		`.t ALTER COLUMN n SET DEFAULT nextval(` + number + `::REGCLASS)`)
	require.NoError(t, err, "a reference by number needs no right")
	b.remove("r")
	require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r")))
	require.False(t, b.schemaExists("u1", "r"))
}
