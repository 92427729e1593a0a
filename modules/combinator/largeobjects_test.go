package combinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

// addLargeObjects creates what is in no schema of u1 and involves u2: large objects and default privileges.
func (b *bundle) addLargeObjects() {
	b.t.Helper()
	one, two := b.rdb.TenantNames("u1").Role, b.rdb.TenantNames("u2").Role
	for uid, text := range map[string]string{
		"u1": `SELECT lo_create(0) FROM generate_series(1, 250); ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO ` + two,
		"u2": `ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO ` + one + `; GRANT SELECT ON ` + b.schema("u2", "r") + `.t TO ` + one,
	} {
		db := b.login(uid, "sk_"+uid)
		_, err := db.Exec(text)
		require.NoError(b.t, err)
		require.NoError(b.t, db.Close())
	}
}

// largeObjects counts the large objects in the shared database.
func (b *bundle) largeObjects() string {
	b.t.Helper()
	return column(b.t, b.admin(""), `SELECT count(*)::TEXT FROM pg_largeobject_metadata`)[0]
}

func TestRemoveTenantDropsLargeObjectsAndGrants(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "large objects")
	b := setup(t, keepUnused(layouts()["shared database"]))
	for _, uid := range []string{"u1", "u2"} {
		b.user(uid, "sk_"+uid)
		b.addSchema(uid, "r")
	}
	b.addLargeObjects()
	b.remove("r")
	require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r")))
	require.Equal(t, "0", b.largeObjects(), "they are deleted with the last schema")
	session, err := b.login("u1", "sk_u1").Conn(t.Context())
	require.NoError(t, err, "the user exists")
	require.NoError(t, session.PingContext(t.Context()))
	b.addLargeObjects()
	_, err = b.db.Exec(`DELETE FROM users WHERE uid = 'u1'`)
	require.NoError(t, err)
	require.NoError(t, b.run(jobs.RemoveTenantType, map[string]string{"user_uid": "u1"}))
	require.Error(t, session.PingContext(t.Context()))
	require.False(t, b.roleExists())
	require.Equal(t, "0", b.largeObjects())
	require.NotContains(t, b.listTenants(), "u1")
	require.Equal(t, []string{"1"}, column(t, b.login("u2", "sk_u2"), `SELECT v::TEXT FROM `+b.schema("u2", "r")+`.t`))
}

func TestUndroppableRoleIsDisabledAndDependentsNamed(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "a superuser's grant")
	b := setupUnprivileged(t, keepUnused(layouts()["shared database"]))
	b.user("u1", "sk_u1")
	b.addSchema("u1", "r")
	_, err := b.admin("").Exec(`CREATE SCHEMA extra; CREATE TABLE extra.t (v TEXT); GRANT SELECT ON extra.t TO ` +
		b.rdb.TenantNames("u1").Role)
	require.NoError(t, err)
	b.remove("r")
	require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r")))
	_, err = b.db.Exec(`DELETE FROM users`)
	require.NoError(t, err)
	var failed *job.Error
	require.ErrorAs(t, b.run(jobs.RemoveTenantType, map[string]string{"user_uid": "u1"}), &failed)
	require.Equal(t, job.Retry, failed.Kind)
	require.Contains(t, failed.Text, "table extra.t")
	require.Error(t, b.login("u1", "sk_u1").Ping())
	require.Contains(t, b.listTenants(), "u1", "the next audit lists it")

	b.user("u1", "sk_u1")
	require.NoError(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": "u1"}))
	require.NoError(t, b.login("u1", "sk_u1").Ping(), "a user who was created again can log in")
	_, err = b.admin("").Exec(`DROP SCHEMA extra CASCADE`)
	require.NoError(t, err)
	_, err = b.db.Exec(`DELETE FROM users`)
	require.NoError(t, err)
	require.NoError(t, b.run(jobs.RemoveTenantType, map[string]string{"user_uid": "u1"}))
	require.False(t, b.roleExists())
}

func TestRoleAddedToOtherUsersRoleIsDropped(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "the own rights of a role")
	b := setup(t, keepUnused(layouts()["shared database"]))
	for _, uid := range []string{"u1", "u2"} {
		b.user(uid, "sk_"+uid)
		b.addSchema(uid, "r")
	}
	one, two := b.rdb.TenantNames("u1").Role, b.rdb.TenantNames("u2").Role
	_, err := b.admin("").Exec(`GRANT ` + two + ` TO ` + one) // in PostgreSQL 14 the user u2 can do this
	require.NoError(t, err)
	for uid, n := range map[string]int{"u1": 7, "u2": 12} {
		db := b.login(uid, "sk_"+uid)
		_, err := db.Exec(`SELECT lo_create(0) FROM generate_series(1, $1::INT)`, n)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	b.remove("r")
	require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r")))
	require.Equal(t, "12", b.largeObjects(), "only the user's own are deleted")
	t.Cleanup(func() { // otherwise the other role could not be dropped
		_, err := b.admin("").Exec(`SELECT lo_unlink(oid) FROM pg_largeobject_metadata`)
		require.NoError(t, err)
	})
	_, err = b.db.Exec(`DELETE FROM users WHERE uid = 'u1'`)
	require.NoError(t, err)
	require.NoError(t, b.run(jobs.RemoveTenantType, map[string]string{"user_uid": "u1"}))
	require.False(t, b.roleExists())
	require.Equal(t, []string{"1"}, column(t, b.login("u2", "sk_u2"), `SELECT v::TEXT FROM `+b.schema("u2", "r")+`.t`))
}
