package combinator_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/overview"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

// patientLocks has Inner wait for a lock for longer than a test does: what waits for one does not end.
func patientLocks(c *config.Config) {
	c.Combinator.RDB.LockTimeout = 2 * patience
	c.Combinator.RDB.RequestTimeout = 3 * patience
}

// lock holds a table of a schema until the returned transaction ends.
func (b *bundle) lock(db *sql.DB, uid, rid string) *sql.Tx {
	b.t.Helper()
	tx, err := db.BeginTx(context.Background(), nil)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = tx.Rollback() })
	_, err = tx.Exec(`SET idle_in_transaction_session_timeout = 0; LOCK TABLE ` + b.schema(uid, rid) + `.t`)
	require.NoError(b.t, err)
	return tx
}

// atOnce runs work that must not wait for locks: with patientLocks it would not end in time.
func (b *bundle) atOnce(work func() error) error {
	b.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- work() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(patience):
		b.t.Fatal("it waits for a lock")
		return nil
	}
}

// created makes a schema.
func (b *bundle) created(uid, rid string) {
	b.t.Helper()
	b.resource(uid, rid, "rdb")
	require.NoError(b.t, b.run(jobs.CreateRDBType, ref(uid, rid)))
}

// filled makes a schema with a table in it.
func (b *bundle) filled(uid, rid string) {
	b.t.Helper()
	b.created(uid, rid)
	db := b.login(uid, "sk_"+uid)
	_, err := db.Exec(`CREATE TABLE ` + b.schema(uid, rid) + `.t AS SELECT 1 AS v`)
	require.NoError(b.t, err)
	require.NoError(b.t, db.Close())
}

func TestSchemasThatOthersHoldKeepNobodyFromBeingServed(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "LOCK TABLE")
	b := setup(t, patientLocks)
	b.user("u1", "sk_u1")
	b.user("u2", "sk_u2")
	b.resource("u2", "r", "rdb")
	dump := b.connect("", nil) // Inner does not end the sessions of an administrator
	for i := range 4 {
		b.filled("u1", fmt.Sprintf("r%d", i))
		b.lock(dump, "u1", fmt.Sprintf("r%d", i))
	}
	require.NoError(t, b.atOnce(func() error { // the lane's one worker
		for i := range 4 {
			err := b.run(jobs.DeleteRDBType, ref("u1", fmt.Sprintf("r%d", i)))
			if later, ok := errors.AsType[*job.Error](err); !ok || later.Kind != job.Later || !later.Growing || later.Longest != config.LongestSnooze {
				return fmt.Errorf("not put off for longer and longer: %w", err)
			}
		}
		return b.run(jobs.CreateRDBType, ref("u2", "r"))
	}))
	require.True(t, b.schemaThere("u1", "r0"))
}

func TestADeletedSchemaDoesNotWaitForItsUser(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "LOCK TABLE")
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout, patientLocks)
			unharmed := b.neighbour()
			b.user("u1", "sk_u1")
			b.filled("u1", "r1")
			b.filled("u1", "r2")
			held, making, other := b.login("u1", "sk_u1"), b.login("u1", "sk_u1"), b.login("u1", "sk_u1")
			b.lock(held, "u1", "r1")
			tx, err := making.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			defer func() { _ = tx.Rollback() }()
			_, err = tx.Exec(`SET idle_in_transaction_session_timeout = 0; CREATE TABLE ` + b.schema("u1", "r1") + `.unseen (v TEXT)`)
			require.NoError(t, err)
			_, err = other.Exec(`CREATE COLLATION ` + b.schema("u1", "r1") + `.c FROM "C"`)
			require.NoError(t, err)
			dropping, err := b.login("u1", "sk_u1").BeginTx(t.Context(), nil)
			require.NoError(t, err)
			defer func() { _ = dropping.Rollback() }()
			_, err = dropping.Exec(`SET idle_in_transaction_session_timeout = 0; DROP COLLATION ` + b.schema("u1", "r1") + `.c`)
			require.NoError(t, err, "what is held is no relation")
			kept := b.lock(other, "u1", "r2")
			b.remove("r1")
			require.NoError(t, b.atOnce(func() error { return b.run(jobs.DeleteRDBType, ref("u1", "r1")) }))
			require.False(t, b.schemaThere("u1", "r1"))
			require.NoError(t, kept.Commit(), "who holds nothing of it is let alone")
			unharmed()
		})
	}
}

func TestALockedTableKeepsNobodyElsesSizeUnknown(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "LOCK TABLE")
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout, patientLocks)
			b.user("u1", "sk_u1")
			b.user("u2", "sk_u2")
			for i := range 3 {
				b.filled("u1", fmt.Sprintf("a%d", i))
				b.filled("u2", fmt.Sprintf("b%d", i))
			}
			b.lock(b.login("u1", "sk_u1"), "u1", "a1")
			require.NoError(t, b.atOnce(func() error { return b.run(jobs.MeasureRDBType, map[string]string{}) }))
			require.Equal(t, []string{"a0", "a2", "b0", "b1", "b2"}, column(t, b.db.DB, `SELECT resource_id FROM combinator_sizes ORDER BY resource_id`))
			_, missed, err := b.rdb.Sizes(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, missed)
		})
	}
}

func TestASchemaThatTakesTooLongLosesNobodyElsesSize(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "sizes")
	b := setup(t, layouts()["shared database"], func(c *config.Config) {
		c.Combinator.RDB.RequestTimeout, c.Combinator.RDB.LockTimeout = 5*time.Second, time.Second
	})
	b.user("u1", "sk_u1")
	b.user("u2", "sk_u2")
	for i := range 3 {
		b.filled("u1", fmt.Sprintf("a%d", i))
		b.filled("u2", fmt.Sprintf("b%d", i))
	}
	db := b.login("u1", "sk_u1")
	_, err := db.Exec(`CREATE SEQUENCE ` + b.schema("u1", "a1") + `.another`)
	require.NoError(t, err)
	// As if there were a million tables in it.
	name := column(t, b.admin(""), `SELECT current_database()`)[0]
	_, err = b.admin("").Exec(`CREATE FUNCTION public.pg_total_relation_size(of REGCLASS) RETURNS BIGINT LANGUAGE sql VOLATILE AS $$
SELECT pg_catalog.pg_total_relation_size(of) + CASE WHEN of::TEXT LIKE '%.another' THEN length(pg_sleep(60)::TEXT) ELSE 0 END $$;
ALTER DATABASE ` + name + ` SET search_path = public, pg_catalog`)
	require.NoError(t, err)
	other := b.copies(func(*config.Config) {}) // whose connections are new
	other.copyRows(b)
	b.lock(db, "u1", "a0")
	require.NoError(t, other.atOnce(func() error { return other.run(jobs.MeasureRDBType, map[string]string{}) }))
	require.Equal(t, []string{"a2", "b0", "b1", "b2"}, column(t, other.db.DB, `SELECT resource_id FROM combinator_sizes ORDER BY resource_id`))
}

func TestARoleThatAnotherUsersTransactionNamesIsDroppedAfterIt(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "a grant holds the role")
	b := setup(t, layouts()["shared database"], patientLocks)
	b.user("u1", "sk_u1")
	b.user("u2", "sk_u2")
	b.filled("u1", "r")
	b.filled("u2", "r")
	tx := b.lock(b.login("u2", "sk_u2"), "u2", "r")
	_, err := tx.Exec(`GRANT SELECT ON ` + b.schema("u2", "r") + `.t TO ` + b.rdb.Place("u1").Role)
	require.NoError(t, err)
	b.remove("r")
	var later *job.Error
	require.ErrorAs(t, b.atOnce(func() error { return b.run(jobs.DeleteRDBType, ref("u1", "r")) }), &later)
	require.Equal(t, job.Later, later.Kind)
	require.Len(t, b.queue.accepted, 1, "the pods are told all the same")
	require.True(t, b.roleThere())
	require.Contains(t, b.things("tenant"), "u1/u1")
	require.NoError(t, tx.Rollback())
	require.NoError(t, b.run(jobs.RemoveTenantType, map[string]any{"user_uid": "u1", "unused": true}))
	require.False(t, b.roleThere())
}

func TestWhoIsInTheTemplateKeepsNobodyFromADatabase(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "CREATE DATABASE copies a template in which nobody may be")
	dsn := ownServer(t, nil)
	b := setup(t, ownDatabases, func(c *config.Config) { c.Combinator.RDB.DSN = config.Secret(dsn) })
	b.tenants = dsn
	b.user("u1", "sk_u1")
	b.resource("u1", "r", "rdb")
	operator, err := b.connect("template1", nil).Conn(t.Context())
	require.NoError(t, err)
	require.NoError(t, operator.PingContext(t.Context()))
	require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
	require.NoError(t, operator.PingContext(t.Context()))

	// Nobody may be in template0, but whom a superuser lets in.
	_, err = b.admin("").Exec(`ALTER DATABASE template0 ALLOW_CONNECTIONS true`)
	require.NoError(t, err)
	inside := b.connect("template0", nil)
	inside.SetMaxIdleConns(1)
	require.NoError(t, inside.Ping())
	b.user("u2", "sk_u2")
	b.resource("u2", "r2", "rdb")
	var waiting *job.Error
	require.ErrorAs(t, b.run(jobs.CreateRDBType, ref("u2", "r2")), &waiting)
	require.Equal(t, job.Later, waiting.Kind, "%v", waiting)
	require.ErrorContains(t, waiting, "is done with what it holds")
	require.Equal(t, []string{"loading"}, column(t, b.db.DB, `SELECT status FROM combinator_resources WHERE resource_id = 'r2'`))
	require.NoError(t, inside.Close())
	require.Eventually(t, func() bool { return b.run(jobs.CreateRDBType, ref("u2", "r2")) == nil }, patience, 10*time.Millisecond)
}

func TestUsersAreKeptOutOfTheServersOwnDatabasesAndOthersAreNamed(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "template1")
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := ownServer(t, nil)
			b := setup(t, layout, func(c *config.Config) { c.Combinator.RDB.DSN = config.Secret(dsn) })
			b.tenants = dsn
			_, err := b.admin("").Exec(`CREATE DATABASE somebodys`)
			require.NoError(t, err)
			b.user("u1", "sk_u1")
			b.resource("u1", "r", "rdb")
			require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
			as := url.UserPassword(b.rdb.Place("u1").Role, "sk_u1")
			for _, name := range []string{"postgres", "template1"} {
				require.ErrorContains(t, b.connect(name, as).Ping(), "permission denied", name)
			}
			report, err := overview.NewRDB(b.rdb).Look(t.Context())
			require.NoError(t, err)
			require.Len(t, report.Facts, 1)
			require.Contains(t, report.Facts[0].Value, "somebodys")
			require.NotContains(t, report.Facts[0].Value, "template1")
		})
	}
}

func TestAUserWhoHoldsItsRoleDoesNotKeepItsKey(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "a role may change its own settings")
	b := setup(t, patientLocks)
	b.user("u1", "sk_u1")
	b.filled("u1", "r")
	tx := b.lock(b.login("u1", "sk_u1"), "u1", "r")
	_, err := tx.Exec(`ALTER ROLE ` + b.rdb.Place("u1").Role + ` SET work_mem = '8MB'`)
	require.NoError(t, err)
	_, err = b.db.Exec(`UPDATE users SET secret_key = 'sk_new'`)
	require.NoError(t, err)
	require.NoError(t, b.atOnce(func() error { return b.run(jobs.SyncPasswordsType, map[string]string{}) }))
	_, err = b.login("u1", "sk_new").Exec(`SELECT 1`)
	require.NoError(t, err)
}
