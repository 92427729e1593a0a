package combinator_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/test/testdatabase"
)

func TestSyncPasswordsRepairsDriftedRoles(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "a role may change its own password")
	for who, begin := range map[string]func(t *testing.T) *bundle{
		"a superuser":          func(t *testing.T) *bundle { t.Helper(); return setup(t) },
		"an unprivileged role": func(t *testing.T) *bundle { t.Helper(); return setupUnprivileged(t, layouts()["shared database"]) },
	} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			b := begin(t)
			for _, uid := range []string{"u1", "u2"} {
				b.user(uid, "sk_"+uid)
				b.addSchema(uid, "r")
			}
			sync := func() { require.NoError(t, b.run(jobs.SyncPasswordsType, map[string]string{})) }
			role := database.Quote(b.rdb.TenantNames("u1").Role)
			for _, change := range []string{
				` PASSWORD 'mine'`, ` PASSWORD NULL`,
				` PASSWORD 'SCRAM-SHA-256$8192:c2FsdHNhbHRzYWx0c2FsdA==$6RpF/SsAvoAKJ1dd8xCe0q8wL4pYCnVoJ6zNJzQG3s8=:6RpF/SsAvoAKJ1dd8xCe0q8wL4pYCnVoJ6zNJzQG3s8='`,
			} {
				db := b.login("u1", "sk_u1")
				_, err := db.Exec(`ALTER ROLE ` + role + change)
				require.NoError(t, err)
				require.NoError(t, db.Close())
				sync()
				require.NoError(t, b.login("u1", "sk_u1").Ping(), change)
			}
			_, err := b.admin("").Exec(`ALTER ROLE ` + role + ` NOLOGIN`)
			require.NoError(t, err)
			sync()
			require.NoError(t, b.login("u1", "sk_u1").Ping(), "a role whose login was disabled")
			if who != "a superuser" {
				return
			}
			versions := func() []string {
				return column(t, b.admin(""),
					`SELECT xmin::TEXT FROM pg_authid WHERE substr(rolname, 1, length($1::TEXT)) = $1 ORDER BY rolname`, b.head)
			}
			before := versions()
			sync()
			require.Equal(t, before, versions(), "a correct role is not changed")
		})
	}
}

func TestPasswordVerificationsAreBounded(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "pg_authid")
	b := setup(t)
	var tenants []engine.Tenant
	for i := range 60 {
		uid := fmt.Sprintf("m%d", i)
		place := b.rdb.TenantNames(uid)
		tenants = append(tenants, engine.Tenant{UserUID: uid, Key: "sk_" + uid, Names: place})
		_, err := b.admin("").Exec(`CREATE ROLE ` + database.Quote(place.Role) + ` LOGIN PASSWORD 'another'`)
		require.NoError(t, err)
	}
	drifted, isSure, err := b.rdb.ListDrifted(t.Context(), tenants)
	require.NoError(t, err)
	require.True(t, isSure)
	require.Len(t, drifted, 50, "other users wait for the lane meanwhile")
}

func TestRestoreRenewsRolePasswords(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_old")
	require.NoError(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": "u1"}))
	backup := column(t, b.db.DB, `SELECT prepared FROM combinator_tenants`)
	_, err := b.db.Exec(`UPDATE users SET secret_key = 'sk_new'`)
	require.NoError(t, err)
	require.NoError(t, b.run(jobs.SyncPasswordsType, map[string]string{}))
	_, err = b.db.Exec(`UPDATE users SET secret_key = 'sk_old'`)
	require.NoError(t, err)
	_, err = b.db.Exec(`UPDATE combinator_tenants SET prepared = $1`, backup[0])
	require.NoError(t, err)

	id, err := database.Identity(t.Context(), b.db.DB)
	require.NoError(t, err)
	done, err := database.RenewIdentity(t.Context(), b.db.DB, id)
	require.NoError(t, err)
	require.True(t, done)
	require.NoError(t, b.run(jobs.SyncPasswordsType, map[string]string{}))
	_, err = b.login("u1", "sk_old").Exec(`SELECT 1`)
	require.NoError(t, err, "the key of the rows is valid")
}
