package combinator_test

import (
	"database/sql"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

const otherNames = "own database"

// ownDatabases configures a platform whose Combinator uses db_<uid>, schema_<rid> and user_<uid>, with a prefix of the test.
func ownDatabases(c *config.Config) {
	head, _, _ := strings.Cut(c.Combinator.RDB.Names.Role, "_")
	c.Combinator.RDB.Names = config.RDBNames{Database: head + "_db_{user_uid}", Schema: "schema_{resource_id}", Role: head +
		"_user_{user_uid}"}
	c.Combinator.RDB.DropUnused = true
}

// layouts returns the configurations of names and databases.
func layouts() map[string]func(*config.Config) {
	return map[string]func(*config.Config){
		"shared database": func(c *config.Config) { c.Combinator.RDB.DropUnused = true },
		otherNames:        ownDatabases,
	}
}

func TestSchemaIsCreatedOnceAndDroppedWithContent(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			b.user("u1", "sk_one")
			b.resource("u1", "r1", "rdb")
			b.resource("u1", "r2", "rdb")
			for range 2 {
				require.NoError(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": "u1"}))
				require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r1")))
				require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r2")))
			}
			require.Equal(t, "active", b.status("r1"))
			tenant := b.login("u1", "sk_one")
			for _, schema := range []string{b.schema("u1", "r1"), b.schema("u1", "r2")} {
				_, err := tenant.Exec(`CREATE TABLE ` + schema + `.notes (id INT PRIMARY KEY); INSERT INTO ` + schema + `.notes VALUES (1)`)
				require.NoError(t, err)
			}
			b.remove("r1")
			for range 2 {
				require.NoError(t, b.run(jobs.DeleteRDBType, map[string]string{"UserUID": "u1", "ResourceID": "r1"}))
			}
			require.False(t, b.schemaExists("u1", "r1"))
			require.True(t, b.schemaExists("u1", "r2"))
			var n int
			require.NoError(t, tenant.QueryRow(`SELECT count(*) FROM `+b.schema("u1", "r2")+`.notes`).Scan(&n))
			require.Equal(t, 1, n, "the other schema is unchanged and usable")
			require.NoError(t, tenant.Close())

			b.remove("r2")
			for range 2 {
				require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r2")))
			}
			require.False(t, b.roleExists(), "the role is dropped with the last schema")
			require.False(t, b.databaseExists())
			require.Len(t, b.queue.accepted, 4, "the pods are notified after each deletion")
		})
	}
}

// schema returns the quoted name of a resource's schema.
func (b *bundle) schema(uid, rid string) string {
	return `"` + strings.NewReplacer("{user_uid}", uid, "{resource_id}", rid).Replace(b.config.Combinator.RDB.Names.Schema) + `"`
}

// database returns the name of a user's database.
func (b *bundle) database(uid string) string {
	return strings.ReplaceAll(b.config.Combinator.RDB.Names.Database, "{user_uid}", uid)
}

func (b *bundle) databaseExists() bool {
	b.t.Helper()
	return len(column(b.t, b.admin(""), `SELECT datname FROM pg_database WHERE datname = $1`, b.database("u1"))) == 1
}

// databaseOpen reports whether anybody is let into the user's database.
func (b *bundle) databaseOpen(uid string) bool {
	b.t.Helper()
	return len(column(b.t, b.admin(""), `SELECT datname FROM pg_database WHERE datname = $1 AND datallowconn`, b.database(uid))) == 1
}

func (b *bundle) roleExists() bool {
	b.t.Helper()
	role := strings.ReplaceAll(b.config.Combinator.RDB.Names.Role, "{user_uid}", "u1")
	return len(column(b.t, b.admin(""), `SELECT rolname FROM pg_roles WHERE rolname = $1`, role)) == 1
}

func (b *bundle) schemaExists(uid, rid string) bool {
	b.t.Helper()
	if b.config.Combinator.RDB.Names.Database != "" && !b.databaseOpen(uid) {
		return false
	}
	db := b.admin(b.database(uid))
	defer func() { _ = db.Close() }()
	return len(column(b.t, db, `SELECT nspname FROM pg_namespace WHERE nspname = $1`, strings.Trim(b.schema(uid, rid), `"`))) == 1
}

func TestTenantCanUseOnlyItsOwnSchema(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			_, err := b.admin("").Exec(`GRANT ALL ON SCHEMA public TO PUBLIC`)
			require.NoError(t, err, "the default of CockroachDB, and of PostgreSQL before version 15")
			for _, uid := range []string{"u1", "u2"} {
				b.user(uid, "sk_"+uid)
				b.resource(uid, "r", "rdb")
				require.NoError(t, b.run(jobs.CreateRDBType, ref(uid, "r")))
			}
			owner, stranger := b.login("u1", "sk_u1"), b.login("u2", "sk_u2")
			for _, tenant := range []*sql.DB{owner, stranger} {
				require.Equal(t, []string{"false"},
					column(t, tenant, `SELECT has_schema_privilege('public', 'USAGE') OR has_schema_privilege('public', 'CREATE')`))
			}
			own, other := b.schema("u1", "r"), b.schema("u1", "r")
			_, err = owner.Exec(`CREATE TABLE ` + own + `.t (v TEXT); INSERT INTO ` + own + `.t VALUES ('secret')`)
			require.NoError(t, err)
			if b.config.Combinator.RDB.Names.Database != "" {
				_, err := b.connect(b.database("u1"),
					url.UserPassword(strings.ReplaceAll(b.config.Combinator.RDB.Names.Role, "{user_uid}", "u2"), "sk_u2")).Exec(`SELECT 1`)
				require.Error(t, err, "a tenant must not connect to another's database")
				other = b.schema("u1", "r") + "_of_another"
			}
			for _, forbidden := range []string{
				`SELECT v FROM ` + other + `.t`, `CREATE TABLE ` + other + `.x (v TEXT)`, `DROP TABLE ` + other + `.t`,
				`CREATE TABLE public.x (v TEXT)`, `CREATE SCHEMA mine`, `CREATE TEMPORARY TABLE x (v TEXT)`,
				`DROP SCHEMA ` + b.schema("u2", "r"), `GRANT USAGE ON SCHEMA ` + b.schema("u2", "r") + ` TO PUBLIC`,
				`CREATE ROLE intruder`, `CREATE DATABASE intruder`,
			} {
				_, err := stranger.Exec(forbidden)
				if !strings.HasPrefix(forbidden, "GRANT") { // PostgreSQL warns, and grants nothing
					require.Error(t, err, forbidden)
				}
			}
			if b.config.Combinator.RDB.Names.Database == "" {
				_, err = owner.Exec(`SELECT v FROM ` + b.schema("u2", "r") + `.t`)
				require.ErrorContains(t, err, "permission denied", "the grant to PUBLIC had no effect")
			}
			_, err = b.login("u1", "sk_wrong").Exec(`SELECT 1`)
			require.Error(t, err, "the password is the secret key")
		})
	}
}

func TestSyncPasswordsAppliesNewSecretKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_old")
	require.NoError(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": "u1"}))
	_, err := b.login("u1", "sk_old").Exec(`SELECT 1`)
	require.NoError(t, err)
	_, err = b.db.Exec(`UPDATE users SET secret_key = 'sk_new'`)
	require.NoError(t, err)
	require.NoError(t, b.run(jobs.SyncPasswordsType, map[string]string{}))
	_, err = b.login("u1", "sk_new").Exec(`SELECT 1`)
	require.NoError(t, err)
	_, err = b.login("u1", "sk_old").Exec(`SELECT 1`)
	require.Error(t, err)
}

// credentials reads whether a role may log in, and whether it has a password.
const credentials = `SELECT rolcanlogin || '/' || (rolpassword IS NOT NULL) FROM pg_authid WHERE rolname = $1`

func TestLoginModeRemovesPasswords(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	b.user("u2", "sk_two")
	b.resource("u1", "r", "rdb")
	b.resource("u2", "r", "rdb")
	require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
	require.Equal(t, []string{"true/true"}, column(t, b.admin(""), credentials, b.head+"u1"))
	login := setup(t, func(c *config.Config) {
		c.Platform, c.Combinator.RDB = b.config.Platform, b.config.Combinator.RDB
		c.Combinator.RDB.Roles = config.RolesLogin
	})
	login.copyRows(b) // with the key of the marks
	login.store, login.db = b.store, b.db
	require.NoError(t, login.run(jobs.CreateRDBType, ref("u2", "r")))
	require.NoError(t, login.run(jobs.SyncPasswordsType, map[string]string{}))
	for _, uid := range []string{"u1", "u2"} {
		require.Equal(t, []string{"true/false"}, column(t, b.admin(""), credentials, b.head+uid),
			"the mode changes for existing roles, too")
		require.Equal(t, []string{"true"},
			column(t, b.admin(""), `SELECT has_schema_privilege($1::TEXT, $2::TEXT, 'CREATE')`, b.head+uid, "user_"+uid+"_r"))
	}
	require.Equal(t, []string{"false"},
		column(t, b.admin(""), `SELECT has_schema_privilege($1::TEXT, $2::TEXT, 'USAGE')`, b.head+"u1", "user_u2_r"))
}

func TestRoleHasConfiguredLimits(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *config.Config) {
		c.Combinator.RDB.ConnectionLimit, c.Combinator.RDB.SchemasPerUser = 1, 1
		c.Combinator.RDB.StatementTimeout = 200e6
	})
	b.user("u1", "sk_one")
	b.resource("u1", "r1", "rdb")
	b.resource("u1", "r2", "rdb")
	require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r1")))
	var refused *job.Error
	require.ErrorAs(t, b.run(jobs.CreateRDBType, ref("u1", "r2")), &refused)
	require.Equal(t, job.Terminal, refused.Kind)
	first := b.login("u1", "sk_one")
	_, err := first.Exec(`SELECT pg_sleep(5)`)
	require.ErrorContains(t, err, "timeout")
	if !testdatabase.IsCockroachDB(t) { // CockroachDB has no connection limit of a role
		_, err = b.login("u1", "sk_one").Exec(`SELECT 1`)
		require.ErrorContains(t, err, "too many connections")
	}
}

func TestSchemaJobsSurviveKillAtEveryStatement(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			b.user("u1", "sk_one")
			checkNeighbour := b.addNeighbour()
			for _, after := range []bool{false, true} {
				steps := b.retryAtEachStatement(after, func() {
					b.resource("u1", "r", "rdb")
				}, func() error { return b.run(jobs.CreateRDBType, ref("u1", "r")) }, func() {
					require.Equal(t, "active", b.status("r"))
					tenant := b.login("u1", "sk_one")
					_, err := tenant.Exec(`CREATE TABLE ` + b.schema("u1", "r") + `.t (v TEXT)`)
					require.NoError(t, err)
					require.NoError(t, tenant.Close())
					b.faults.off()
					b.remove("r")
					require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r")))
				})
				require.Greater(t, steps, 8)
				steps = b.retryAtEachStatement(after, func() {
					b.resource("u1", "r", "rdb")
					require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
					b.remove("r")
				}, func() error { return b.run(jobs.DeleteRDBType, ref("u1", "r")) }, func() {
					require.False(t, b.schemaExists("u1", "r"))
					require.False(t, b.roleExists())
				})
				require.Greater(t, steps, 8)
			}
			checkNeighbour()
		})
	}
}

// retryAtEachStatement runs work with a fault at its first statement, then again without one, and calls check; then with a
// fault at its second, until it succeeds. It returns the number of statements.
func (b *bundle) retryAtEachStatement(after bool, prepare func(), work func() error, check func()) int {
	b.t.Helper()
	for n := 1; ; n++ {
		prepare()
		b.faults.breakAt(n, after)
		err := work()
		hit := b.faults.hit()
		b.faults.off()
		if !hit {
			require.NoError(b.t, err)
			check()
			return n
		}
		if err != nil {
			require.NoError(b.t, work(), "after a fault at statement %d the same task takes its lease over from itself", n)
		}
		check()
	}
}

// expireLeases ends the leases of dead processes whose tasks are not retried.
func (b *bundle) expireLeases() {
	b.t.Helper()
	_, err := b.db.Exec(`UPDATE combinator_tenants SET leased_until = LOCALTIMESTAMP - INTERVAL '1 second' WHERE leased_until IS NOT NULL`)
	require.NoError(b.t, err)
}
