package combinator_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/stack/postgres"
	"app238.com/inner/test/testdatabase"
)

// ownServer starts an engine with these settings for one test.
func ownServer(t *testing.T, settings map[string]string) (dsn string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	server, err := postgres.Start(ctx, postgres.Options{Settings: settings})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	require.NoError(t, server.CreateDatabase(ctx, "tenants"))
	return server.DSN("tenants")
}

// fillSchema creates more than 2,000 objects of all kinds in a schema.
func fillSchema(t *testing.T, db *sql.DB, schema string) {
	t.Helper()
	asTenant(t, db, schema,
		`CREATE TABLE SCHEMA.parent (v INT, w TEXT) PARTITION BY LIST (v)`,
		`DO $$ BEGIN FOR i IN 1..1800 LOOP EXECUTE format('CREATE TABLE SCHEMA.t%s (id SERIAL PRIMARY KEY, v TEXT)', i);
IF i % 20 = 0 THEN COMMIT; END IF; END LOOP; END $$`,
		`DO $$ BEGIN FOR i IN 1..200 LOOP EXECUTE format('CREATE TABLE SCHEMA."P %s" PARTITION OF SCHEMA.parent FOR VALUES IN (%s)', i, i);
IF i % 20 = 0 THEN COMMIT; END IF; END LOOP; END $$`,
		`DO $$ BEGIN FOR i IN 1..200 LOOP EXECUTE format('CREATE FUNCTION SCHEMA.f%s(a INT, b TEXT) RETURNS INT LANGUAGE sql AS ''SELECT 1''', i);
IF i % 20 = 0 THEN COMMIT; END IF; END LOOP; END $$`,
		// Objects with thousands of older dependents.
		`DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE TABLE SCHEMA.o%s (v INT, w TEXT)', i);
IF i % 20 = 0 THEN COMMIT; END IF; END LOOP; END $$`,
		`CREATE TABLE SCHEMA.younger (v INT, w TEXT) PARTITION BY LIST (v); CREATE TYPE SCHEMA.mood AS ENUM ('a')`,
		`DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('ALTER TABLE SCHEMA.younger ATTACH PARTITION SCHEMA.o%s FOR VALUES IN (%s)', i, i);
EXECUTE format('ALTER TABLE SCHEMA.t%s ADD COLUMN m SCHEMA.mood', i); IF i % 20 = 0 THEN COMMIT; END IF; END LOOP; END $$`,
		`DO $$ BEGIN FOR i IN 1..2000 LOOP EXECUTE format('CREATE TABLE SCHEMA.p%s (v INT) PARTITION BY LIST (v)', i);
IF i % 20 = 0 THEN COMMIT; END IF; END LOOP; END $$`,
		`CREATE VIEW SCHEMA.view AS SELECT v FROM SCHEMA.t1; CREATE MATERIALIZED VIEW SCHEMA.kept AS SELECT v FROM SCHEMA.view`,
		`CREATE TYPE SCHEMA.kind AS ENUM ('a'); CREATE TABLE SCHEMA.kinds (k SCHEMA.kind); CREATE SEQUENCE SCHEMA.numbers; ALTER TABLE SCHEMA.t1 ADD COLUMN n INT GENERATED ALWAYS AS IDENTITY`,
		`CREATE AGGREGATE SCHEMA.total(INT) (SFUNC = int4pl, STYPE = INT); CREATE DOMAIN SCHEMA.small AS INT; CREATE STATISTICS SCHEMA.s ON id, v FROM SCHEMA.t1`,
	)
}

// asTenant runs statements about a schema, however long they take.
func asTenant(t *testing.T, db *sql.DB, schema string, statements ...string) {
	t.Helper()
	tenant, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tenant.Close()) }()
	_, err = tenant.ExecContext(t.Context(), `SET statement_timeout = 0`) // which any tenant can
	require.NoError(t, err)
	for _, statement := range statements {
		_, err := tenant.ExecContext(t.Context(), strings.ReplaceAll(statement, "SCHEMA", schema))
		require.NoError(t, err, statement)
	}
}

// withFewLocks is a bundle whose engine has a small lock table, and a user u1.
func withFewLocks(t *testing.T) *bundle {
	t.Helper()
	testdatabase.PostgreSQLOnly(t, "max_locks_per_transaction")
	dsn := ownServer(t, map[string]string{"max_locks_per_transaction": "10", "max_connections": "40"})
	b := setup(t, func(c *config.Config) { c.Combinator.RDB.DSN = config.Secret(dsn) })
	b.tenants = dsn
	b.user("u1", "sk_u1")
	return b
}

func TestSchemaLargerThanLockTableIsDropped(t *testing.T) {
	t.Parallel()
	b := withFewLocks(t)
	b.addSchema("u1", "r1")
	db := b.login("u1", "sk_u1")
	fillSchema(t, db, b.schema("u1", "r1"))
	require.NoError(t, db.Close())
	b.remove("r1")

	r := engine.Resource{UserUID: "u1", ResourceID: "r1"}
	mark := b.mark("u1")
	comment := func(mark string) {
		_, err := b.admin("").Exec(`COMMENT ON SCHEMA ` + b.schema("u1", "r1") + ` IS ` + database.Literal(mark))
		require.NoError(t, err)
	}
	relations := func() []string {
		return column(t, b.admin(""),
			`SELECT count(*)::TEXT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1`, b.rdb.Name(r))
	}
	all := relations()
	comment("inner-gateway 0123456789abcdef u1/r1")
	_, err := b.rdb.Delete(t.Context(), engine.Tenant{UserUID: "u1", Names: b.rdb.TenantNames("u1")}, r, b.rdb.Name(r), false)
	require.ErrorAs(t, err, new(*engine.OtherPlatformError))
	require.Equal(t, all, relations(), "another platform's schema keeps all objects")
	comment(mark)
	var unfinished *job.Error
	require.ErrorAs(t, b.execute(job.Task{ID: 1, Type: jobs.DeleteRDBType, Attempt: 1}, ref("u1", "r1")), &unfinished)
	require.Equal(t, job.Snooze, unfinished.Kind, "%v", unfinished)
	require.ErrorContains(t, unfinished, "a part of the resource is removed", "other users have their turn")
	b.expireLeases()
	b.faults.breakAt(16, true)
	require.Error(t, b.run(jobs.DeleteRDBType, ref("u1", "r1")))
	b.faults.off()
	b.expireLeases()
	require.NotEqual(t, all, relations(), "some objects were dropped")
	require.True(t, b.schemaExists("u1", "r1"))
	require.Eventually(t, func() bool {
		b.expireLeases()
		return b.run(jobs.DeleteRDBType, ref("u1", "r1")) == nil
	}, 5*timeout, 10*time.Millisecond, "each execution continues where the last one ended")
	require.False(t, b.schemaExists("u1", "r1"))
}
