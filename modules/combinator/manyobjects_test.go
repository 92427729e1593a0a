package combinator_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/combinator/internal/jobs"
)

// repeated returns a statement that executes another one n times, with a number and the previous number.
func repeated(n int, statement string) string {
	return fmt.Sprintf(`DO $$ BEGIN FOR i IN 1..%d LOOP EXECUTE format('%s', i, i - 1); IF i %% 100 = 0 THEN COMMIT; END IF; END LOOP; END $$`, n, statement)
}

func TestSchemaWithManyObjectsOfAnyKindIsDropped(t *testing.T) {
	t.Parallel()
	b := withFewLocks(t)
	for kind, statements := range map[string][]string{
		"collations": {repeated(1500, `CREATE COLLATION SCHEMA.c%s FROM "C"`)},
		"constraints": {`CREATE DOMAIN SCHEMA.d AS INT`, repeated(700, `ALTER TABLE SCHEMA.t ADD CHECK (v > 0), ADD UNIQUE (v)`),
			repeated(700, `ALTER DOMAIN SCHEMA.d ADD CHECK (VALUE > 0)`)},
		"triggers": {repeated(1500,
			`CREATE TRIGGER t%s BEFORE UPDATE ON SCHEMA.t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`)},
		"rules":    {repeated(1500, `CREATE RULE r%s AS ON DELETE TO SCHEMA.t DO ALSO NOTIFY n`)},
		"indexes":  {repeated(1500, `CREATE INDEX ON SCHEMA.t (v)`)},
		"defaults": {repeated(700, `ALTER TABLE SCHEMA.t ADD COLUMN d%s INT DEFAULT 1`)},
		"a chain":  {`CREATE VIEW SCHEMA.v0 AS SELECT 1 AS v`, repeated(500, `CREATE VIEW SCHEMA.v%s AS SELECT v FROM SCHEMA.v%s`)},
		"a chain to the oldest": {repeated(500, `CREATE VIEW SCHEMA.v%s AS SELECT 1 AS v`),
			repeated(499, `CREATE OR REPLACE VIEW SCHEMA.v%2$s AS SELECT v FROM SCHEMA.v%1$s`)},
		"namesakes": {repeated(120, `CREATE TABLE SCHEMA.n%s (v INT)`),
			`CREATE PROCEDURE SCHEMA.p(IN a INT, OUT b INT) LANGUAGE plpgsql AS $$ BEGIN b := 1; END $$;
CREATE PROCEDURE SCHEMA.p(IN a INT, IN b INT) LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE AGGREGATE SCHEMA.a(*) (SFUNC = int8inc, STYPE = BIGINT, INITCOND = 0); CREATE AGGREGATE SCHEMA.a(INT ORDER BY INT) (SFUNC = int4pl, STYPE = INT, INITCOND = 0)`},
	} {
		b.addSchema("u1", "r1")
		db := b.login("u1", "sk_u1")
		asTenant(t, db, b.schema("u1", "r1"), statements...)
		require.NoError(t, db.Close())
		b.remove("r1")
		require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r1")), kind)
		require.False(t, b.schemaExists("u1", "r1"), kind)
	}
}
