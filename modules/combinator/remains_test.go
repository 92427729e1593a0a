package combinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

// remains makes what no schema of u1 holds, in which u2 has a hand too: large objects, and privileges that are given beforehand.
func (b *bundle) remains() {
	b.t.Helper()
	one, two := b.rdb.Place("u1").Role, b.rdb.Place("u2").Role
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

// largeObjects counts those in the database that users share.
func (b *bundle) largeObjects() string {
	b.t.Helper()
	return column(b.t, b.admin(""), `SELECT count(*)::TEXT FROM pg_largeobject_metadata`)[0]
}

func TestWhatAUserWhoIsGoneLeavesOutsideOfSchemasIsRemoved(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "large objects")
	b := setup(t, remaining(layouts()["shared database"]))
	for _, uid := range []string{"u1", "u2"} {
		b.user(uid, "sk_"+uid)
		b.filled(uid, "r")
	}
	b.remains()
	b.remove("r")
	require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r")))
	require.Equal(t, "0", b.largeObjects(), "they are gone with the last schema")
	session, err := b.login("u1", "sk_u1").Conn(t.Context())
	require.NoError(t, err, "the user is there")
	require.NoError(t, session.PingContext(t.Context()))
	b.remains()
	_, err = b.db.Exec(`DELETE FROM users WHERE uid = 'u1'`)
	require.NoError(t, err)
	require.NoError(t, b.run(jobs.RemoveTenantType, map[string]string{"user_uid": "u1"}))
	require.Error(t, session.PingContext(t.Context()))
	require.False(t, b.roleThere())
	require.Equal(t, "0", b.largeObjects())
	require.NotContains(t, b.listed(), "u1")
	require.Equal(t, []string{"1"}, column(t, b.login("u2", "sk_u2"), `SELECT v::TEXT FROM `+b.schema("u2", "r")+`.t`))
}

func TestWhatKeepsARoleOfAUserWhoIsGoneIsNamedAndTheRoleIsShut(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "a superuser's grant")
	b := modest(t, remaining(layouts()["shared database"]))
	b.user("u1", "sk_u1")
	b.filled("u1", "r")
	_, err := b.admin("").Exec(`CREATE SCHEMA extra; CREATE TABLE extra.t (v TEXT); GRANT SELECT ON extra.t TO ` + b.rdb.Place("u1").Role)
	require.NoError(t, err)
	b.remove("r")
	require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r")))
	_, err = b.db.Exec(`DELETE FROM users`)
	require.NoError(t, err)
	var failed *job.Error
	require.ErrorAs(t, b.run(jobs.RemoveTenantType, map[string]string{"user_uid": "u1"}), &failed)
	require.Equal(t, job.Failed, failed.Kind)
	require.Contains(t, failed.Text, "table extra.t")
	require.Error(t, b.login("u1", "sk_u1").Ping())
	require.Contains(t, b.listed(), "u1", "the next audit sees it")

	b.user("u1", "sk_u1")
	require.NoError(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": "u1"}))
	require.NoError(t, b.login("u1", "sk_u1").Ping(), "whoever comes back is let in again")
	_, err = b.admin("").Exec(`DROP SCHEMA extra CASCADE`)
	require.NoError(t, err)
	_, err = b.db.Exec(`DELETE FROM users`)
	require.NoError(t, err)
	require.NoError(t, b.run(jobs.RemoveTenantType, map[string]string{"user_uid": "u1"}))
	require.False(t, b.roleThere())
}

func TestARoleThatAnotherUserMadeAMemberOfHisIsRemoved(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "what a role itself may")
	b := setup(t, remaining(layouts()["shared database"]))
	for _, uid := range []string{"u1", "u2"} {
		b.user(uid, "sk_"+uid)
		b.filled(uid, "r")
	}
	one, two := b.rdb.Place("u1").Role, b.rdb.Place("u2").Role
	_, err := b.admin("").Exec(`GRANT ` + two + ` TO ` + one) // in PostgreSQL 14 the user u2 may
	require.NoError(t, err)
	for uid, n := range map[string]int{"u1": 7, "u2": 12} {
		db := b.login(uid, "sk_"+uid)
		_, err := db.Exec(`SELECT lo_create(0) FROM generate_series(1, $1::INT)`, n)
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
	b.remove("r")
	require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r")))
	require.Equal(t, "12", b.largeObjects(), "its own are gone, those of the other are not")
	t.Cleanup(func() { // else the other's role could not be dropped
		_, err := b.admin("").Exec(`SELECT lo_unlink(oid) FROM pg_largeobject_metadata`)
		require.NoError(t, err)
	})
	_, err = b.db.Exec(`DELETE FROM users WHERE uid = 'u1'`)
	require.NoError(t, err)
	require.NoError(t, b.run(jobs.RemoveTenantType, map[string]string{"user_uid": "u1"}))
	require.False(t, b.roleThere())
	require.Equal(t, []string{"1"}, column(t, b.login("u2", "sk_u2"), `SELECT v::TEXT FROM `+b.schema("u2", "r")+`.t`))
}
