package combinator_test

import (
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
			_, err := db.Exec(`CREATE TYPE ` + one + `.kind AS ENUM ('a'); CREATE SEQUENCE ` + one + `.numbers; CREATE TABLE ` + one + `.own (k ` + one + `.kind);
CREATE COLLATION ` + one + `.c FROM "C"; CREATE TEXT SEARCH CONFIGURATION ` + one + `.words (COPY = pg_catalog.simple);
CREATE FUNCTION ` + one + `.same(a INT, b INT) RETURNS BOOL LANGUAGE sql IMMUTABLE AS 'SELECT a = b'; CREATE OPERATOR ` + one + `.=== (FUNCTION = ` + one + `.same, LEFTARG = INT, RIGHTARG = INT);
CREATE TABLE ` + one + `.parent (v INT) PARTITION BY LIST (v)`)
			require.NoError(t, err)
			for needs, drop := range map[string]string{
				`CREATE VIEW ` + two + `.seen AS SELECT v FROM ` + one + `.t`:                                                                     `DROP VIEW ` + two + `.seen`,
				`ALTER TABLE ` + two + `.t ADD COLUMN seen ` + one + `.kind`:                                                                      `ALTER TABLE ` + two + `.t DROP COLUMN seen`,
				`CREATE TABLE ` + two + `.seen (v INT DEFAULT nextval('` + one + `.numbers'::REGCLASS))`:                                          `DROP TABLE ` + two + `.seen`,
				`ALTER TABLE ` + two + `.t ADD COLUMN seen TEXT COLLATE ` + one + `.c`:                                                            `ALTER TABLE ` + two + `.t DROP COLUMN seen`,
				`CREATE VIEW ` + two + `.seen AS SELECT 1 OPERATOR(` + one + `.===) 1 AS v`:                                                       `DROP VIEW ` + two + `.seen`,
				`ALTER TABLE ` + two + `.t ADD COLUMN seen TSVECTOR GENERATED ALWAYS AS (to_tsvector('` + one + `.words'::REGCONFIG, '')) STORED`: `ALTER TABLE ` + two + `.t DROP COLUMN seen`,
				`CREATE TABLE ` + two + `.seen PARTITION OF ` + one + `.parent DEFAULT`:                                                           `DROP TABLE ` + two + `.seen`,
				`CREATE FUNCTION ` + two + `.seen(` + one + `.kind) RETURNS INT LANGUAGE sql AS 'SELECT 1'`:                                       `DROP FUNCTION ` + two + `.seen`,
				`CREATE TABLE ` + two + `.seen (v INT); CREATE INDEX ON ` + two + `.seen ((` + one + `.same(v, 1)))`:                              `DROP TABLE ` + two + `.seen`,
				`CREATE TYPE ` + two + `.seen AS (v INT); CREATE FUNCTION ` + one + `.cast(` + two + `.seen) RETURNS INT LANGUAGE sql AS 'SELECT 1';
CREATE CAST (` + two + `.seen AS INT) WITH FUNCTION ` + one + `.cast`: `DROP TYPE ` + two + `.seen CASCADE`,
			} {
				_, err := db.Exec(needs)
				require.NoError(t, err, needs)
				b.remove("r1")
				var failed *job.Error
				require.ErrorAs(t, b.run(jobs.DeleteRDBType, ref("u1", "r1")), &failed, needs)
				require.Equal(t, job.Retry, failed.Kind, failed)
				require.Contains(t, failed.Text, "seen", needs)
				require.True(t, b.schemaExists("u1", "r1"))
				require.Empty(t, b.queue.accepted, "no pod is notified")
				_, err = db.Exec(drop)
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
	_, err = b.login("u2", "sk_u2").Exec(`ALTER TABLE ` + b.schema("u2", "r") + `.t ADD COLUMN n INT; ALTER TABLE ` + b.schema("u2", "r") +
		`.t ALTER COLUMN n SET DEFAULT nextval(` + number + `::REGCLASS)`)
	require.NoError(t, err, "a reference by number needs no right")
	b.remove("r")
	require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r")))
	require.False(t, b.schemaExists("u1", "r"))
}
