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
	"app238.com/inner/modules/combinator/internal/status"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

// longLockTimeout makes Inner wait for a lock for longer than a test does, so that a test that waits for one fails.
func longLockTimeout(c *config.Config) {
	c.Combinator.RDB.LockTimeout = 4 * timeout
	c.Combinator.RDB.RequestTimeout = 5 * timeout
}

// lock locks a table of a schema until the returned transaction ends.
func (b *bundle) lock(db *sql.DB, uid, rid string) *sql.Tx {
	b.t.Helper()
	tx, err := db.BeginTx(context.Background(), nil)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = tx.Rollback() })
	_, err = tx.Exec(`SET idle_in_transaction_session_timeout = 0; LOCK TABLE ` + b.schema(uid, rid) + `.t`)
	require.NoError(b.t, err)
	return tx
}

// withoutWaiting runs work that must not wait for locks: with longLockTimeout it would not end in time.
func (b *bundle) withoutWaiting(work func() error) error {
	b.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- work() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(3 * timeout):
		b.t.Fatal("work waits for a lock")
		return nil
	}
}

// createSchema creates a schema.
func (b *bundle) createSchema(uid, rid string) {
	b.t.Helper()
	b.resource(uid, rid, "rdb")
	require.NoError(b.t, b.run(jobs.CreateRDBType, ref(uid, rid)))
}

// addSchema creates a schema with a table.
func (b *bundle) addSchema(uid, rid string) {
	b.t.Helper()
	b.createSchema(uid, rid)
	db := b.login(uid, "sk_"+uid)
	_, err := db.Exec(`CREATE TABLE ` + b.schema(uid, rid) + `.t AS SELECT 1 AS v`)
	require.NoError(b.t, err)
	require.NoError(b.t, db.Close())
}

func TestLockedSchemasDoNotBlockOtherUsers(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "LOCK TABLE")
	b := setup(t, longLockTimeout)
	b.user("u1", "sk_u1")
	b.user("u2", "sk_u2")
	b.resource("u2", "r", "rdb")
	dump := b.connect("", nil) // Inner does not terminate sessions of an administrator
	for i := range 4 {
		b.addSchema("u1", fmt.Sprintf("r%d", i))
		b.lock(dump, "u1", fmt.Sprintf("r%d", i))
	}
	require.NoError(t, b.withoutWaiting(func() error { // the lane's one worker
		for i := range 4 {
			err := b.run(jobs.DeleteRDBType, ref("u1", fmt.Sprintf("r%d", i)))
			if later, ok := errors.AsType[*job.Error](err); !ok || later.Kind != job.Snooze || !later.Backoff ||
				later.MaxDelay != config.LongestSnooze {
				return fmt.Errorf("not snoozed with a growing delay: %w", err)
			}
		}
		return b.run(jobs.CreateRDBType, ref("u2", "r"))
	}))
	require.True(t, b.schemaExists("u1", "r0"))
}

func TestDeleteTerminatesSessionsOfItsUser(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "LOCK TABLE")
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout, longLockTimeout)
			checkNeighbour := b.addNeighbour()
			b.user("u1", "sk_u1")
			b.addSchema("u1", "r1")
			b.addSchema("u1", "r2")
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
			require.NoError(t, err, "the locked object is not a relation")
			kept := b.lock(other, "u1", "r2")
			b.remove("r1")
			require.NoError(t, b.withoutWaiting(func() error { return b.run(jobs.DeleteRDBType, ref("u1", "r1")) }))
			require.False(t, b.schemaExists("u1", "r1"))
			require.NoError(t, kept.Commit(), "a session without locks on the schema is not terminated")
			checkNeighbour()
		})
	}
}

func TestLockedTableHidesOnlyItsOwnSize(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "LOCK TABLE")
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout, longLockTimeout)
			b.user("u1", "sk_u1")
			b.user("u2", "sk_u2")
			for i := range 3 {
				b.addSchema("u1", fmt.Sprintf("a%d", i))
				b.addSchema("u2", fmt.Sprintf("b%d", i))
			}
			b.lock(b.login("u1", "sk_u1"), "u1", "a1")
			require.NoError(t, b.withoutWaiting(func() error { return b.run(jobs.MeasureRDBType, map[string]string{}) }))
			require.Equal(t, []string{"a0", "a2", "b0", "b1", "b2"},
				column(t, b.db.DB, `SELECT resource_id FROM combinator_sizes ORDER BY resource_id`))
			_, missed, err := b.rdb.Sizes(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, missed)
		})
	}
}

func TestSchemaTooLargeToMeasureHidesOnlySizesOfLargerOnes(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "sizes")
	b := setup(t, layouts()["shared database"], func(c *config.Config) {
		c.Combinator.RDB.RequestTimeout, c.Combinator.RDB.LockTimeout = 5*time.Second, time.Second
	})
	b.user("u1", "sk_u1")
	b.user("u2", "sk_u2")
	for i := range 3 {
		b.addSchema("u1", fmt.Sprintf("a%d", i))
		b.addSchema("u2", fmt.Sprintf("b%d", i))
	}
	db := b.login("u1", "sk_u1")
	_, err := db.Exec(`CREATE SEQUENCE ` + b.schema("u1", "a1") + `.another`)
	require.NoError(t, err)
	// As slow as with a million tables.
	name := column(t, b.admin(""), `SELECT current_database()`)[0]
	_, err = b.admin("").Exec(`CREATE FUNCTION public.pg_total_relation_size(of REGCLASS) RETURNS BIGINT LANGUAGE sql VOLATILE AS $$
SELECT pg_catalog.pg_total_relation_size(of) + CASE WHEN of::TEXT LIKE '%.another' THEN length(pg_sleep(60)::TEXT) ELSE 0 END $$;
ALTER DATABASE ` + name + ` SET search_path = public, pg_catalog`)
	require.NoError(t, err)
	other := b.copyWith(func(*config.Config) {}) // with new connections
	other.copyRows(b)
	b.lock(db, "u1", "a0")
	require.NoError(t, other.withoutWaiting(func() error { return other.run(jobs.MeasureRDBType, map[string]string{}) }))
	require.Equal(t, []string{"a2", "b0", "b1", "b2"},
		column(t, other.db.DB, `SELECT resource_id FROM combinator_sizes ORDER BY resource_id`))
}

func TestRoleLockedByOtherTransactionIsDroppedLater(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "a grant holds the role")
	b := setup(t, layouts()["shared database"], longLockTimeout)
	b.user("u1", "sk_u1")
	b.user("u2", "sk_u2")
	b.addSchema("u1", "r")
	b.addSchema("u2", "r")
	tx := b.lock(b.login("u2", "sk_u2"), "u2", "r")
	_, err := tx.Exec(`GRANT SELECT ON ` + b.schema("u2", "r") + `.t TO ` + b.rdb.TenantNames("u1").Role)
	require.NoError(t, err)
	b.remove("r")
	var later *job.Error
	require.ErrorAs(t, b.withoutWaiting(func() error { return b.run(jobs.DeleteRDBType, ref("u1", "r")) }), &later)
	require.Equal(t, job.Snooze, later.Kind)
	require.Len(t, b.queue.accepted, 1, "the pods are notified nevertheless")
	require.True(t, b.roleExists())
	require.Contains(t, b.listActual("tenant"), "u1/u1")
	require.NoError(t, tx.Rollback())
	require.NoError(t, b.run(jobs.RemoveTenantType, map[string]any{"user_uid": "u1", "unused": true}))
	require.False(t, b.roleExists())
}

func TestSessionInTemplateDoesNotBlockCreate(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "CREATE DATABASE copies a template without sessions")
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

	// A superuser can allow connections to template0.
	_, err = b.admin("").Exec(`ALTER DATABASE template0 ALLOW_CONNECTIONS true`)
	require.NoError(t, err)
	inside := b.connect("template0", nil)
	inside.SetMaxIdleConns(1)
	require.NoError(t, inside.Ping())
	b.user("u2", "sk_u2")
	b.resource("u2", "r2", "rdb")
	var waiting *job.Error
	require.ErrorAs(t, b.run(jobs.CreateRDBType, ref("u2", "r2")), &waiting)
	require.Equal(t, job.Snooze, waiting.Kind, "%v", waiting)
	require.ErrorContains(t, waiting, "is no longer in use")
	require.Equal(t, []string{"loading"}, column(t, b.db.DB, `SELECT status FROM combinator_resources WHERE resource_id = 'r2'`))
	require.NoError(t, inside.Close())
	require.Eventually(t, func() bool { return b.run(jobs.CreateRDBType, ref("u2", "r2")) == nil }, timeout, 10*time.Millisecond)
}

func TestMaintenanceDatabasesAreRestrictedAndOpenOnesReported(t *testing.T) {
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
			as := url.UserPassword(b.rdb.TenantNames("u1").Role, "sk_u1")
			for _, name := range []string{"postgres", "template1"} {
				require.ErrorContains(t, b.connect(name, as).Ping(), "permission denied", name)
			}
			report, err := status.NewRDB(b.rdb).Probe(t.Context())
			require.NoError(t, err)
			require.Len(t, report.Details, 1)
			require.Contains(t, report.Details[0].Value, "somebodys")
			require.NotContains(t, report.Details[0].Value, "template1")
		})
	}
}

func TestLockedRoleStillGetsNewKey(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "a role may change its own settings")
	b := setup(t, longLockTimeout)
	b.user("u1", "sk_u1")
	b.addSchema("u1", "r")
	tx := b.lock(b.login("u1", "sk_u1"), "u1", "r")
	_, err := tx.Exec(`ALTER ROLE ` + b.rdb.TenantNames("u1").Role + ` SET work_mem = '8MB'`)
	require.NoError(t, err)
	_, err = b.db.Exec(`UPDATE users SET secret_key = 'sk_new'`)
	require.NoError(t, err)
	require.NoError(t, b.withoutWaiting(func() error { return b.run(jobs.SyncPasswordsType, map[string]string{}) }))
	_, err = b.login("u1", "sk_new").Exec(`SELECT 1`)
	require.NoError(t, err)
}
