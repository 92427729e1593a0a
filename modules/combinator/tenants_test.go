package combinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	auditinventory "app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/inventory"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
)

// tenantInventory returns the inventory of roles and databases.
func (b *bundle) tenantInventory() auditinventory.Inventory {
	b.t.Helper()
	for _, i := range inventory.New(b.store, b.queue, b.rdb, b.kv) {
		if i.Kind() == "tenant" {
			return i
		}
	}
	b.t.Fatal("there is no inventory of tenants")
	return nil
}

// listTenants returns what the inventory of tenants lists, by owner.
func (b *bundle) listTenants() map[string]auditinventory.Object {
	b.t.Helper()
	all := map[string]auditinventory.Object{}
	require.NoError(b.t, b.tenantInventory().ListActual(b.t.Context(), func(page []auditinventory.Object) error {
		for _, o := range page {
			all[o.Owner] = o
		}
		return nil
	}))
	return all
}

// addRemovedUser inserts a user, creates and deletes a schema, and deletes the user as the Outer does; the role and the
// database remain.
func (b *bundle) addRemovedUser(uid string) {
	b.t.Helper()
	b.user(uid, "sk_"+uid)
	b.resource(uid, "r", "rdb")
	require.NoError(b.t, b.run(jobs.CreateRDBType, ref(uid, "r")))
	_, err := b.db.Exec(`DELETE FROM combinator_resources WHERE user_uid = $1`, uid)
	require.NoError(b.t, err)
	require.NoError(b.t, b.run(jobs.DeleteRDBType, ref(uid, "r")))
	_, err = b.db.Exec(`DELETE FROM users WHERE uid = $1`, uid)
	require.NoError(b.t, err)
}

func keepUnused(layout func(*config.Config)) func(*config.Config) {
	return func(c *config.Config) {
		layout(c)
		c.Combinator.RDB.DropUnused = false
	}
}

func TestTenantsOfDeletedUsersAreListedAndRemoved(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, keepUnused(layout))
			b.user("u1", "sk_one")
			b.resource("u1", "r", "rdb")
			require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
			b.addRemovedUser("u2")
			b.addRemovedUser("A-b")
			other := b.rdb.TenantNames("other").Role
			_, err := b.admin("").Exec(`CREATE ROLE ` + database.Quote(other))
			require.NoError(t, err, "a role of a possible user's name that Inner has not made")
			found, parts := b.listTenants(), append(b.rdb.DesiredParts(), engine.MarkPart)
			require.Len(t, found, 3)
			for _, uid := range []string{"u1", "u2", "A-b"} {
				require.Equal(t,
					auditinventory.Object{Name: b.rdb.TenantNames(uid).Role, Owner: uid, ID: uid, Key: "user/" + uid, Parts: parts}, found[uid])
			}
			i := b.tenantInventory()
			require.ErrorIs(t, i.Delete(t.Context(), found["u1"]), auditinventory.ErrReferenced)
			for _, uid := range []string{"u2", "A-b"} {
				require.NoError(t, i.Delete(t.Context(), found[uid]))
				require.Equal(t, []string{jobs.RemoveTenantType + " user/" + uid}, b.queue.enqueued)
				b.queue.enqueued = nil
				for range 2 {
					require.NoError(t, b.run(jobs.RemoveTenantType, map[string]string{"user_uid": uid}))
				}
				_, left := b.listTenants()[uid]
				require.False(t, left)
			}
			var refused *job.Error
			require.ErrorAs(t, b.run(jobs.RemoveTenantType, map[string]string{"user_uid": "u1"}), &refused)
			require.Equal(t, job.Terminal, refused.Kind)
			require.Equal(t, found["u1"], b.listTenants()["u1"], "the other user is unchanged")
			_, err = b.login("u1", "sk_one").Exec(`CREATE TABLE ` + b.schema("u1", "r") + `.t (v TEXT)`)
			require.NoError(t, err)
			require.Equal(t, []string{other}, column(t, b.admin(""), `SELECT rolname FROM pg_roles WHERE rolname = $1`, other))
			require.Equal(t, []string{"u1"}, column(t, b.db.DB, `SELECT user_uid FROM combinator_tenants`))
		})
	}
}

func TestDatabaseWithDataIsKeptAfterUser(t *testing.T) {
	t.Parallel()
	b := setup(t, keepUnused(ownDatabases))
	b.addRemovedUser("u1")
	_, err := b.admin(b.database("u1")).Exec(`CREATE TABLE public.kept (v TEXT)`)
	require.NoError(t, err)
	var failed *job.Error
	require.ErrorAs(t, b.run(jobs.RemoveTenantType, map[string]string{"user_uid": "u1"}), &failed)
	require.Contains(t, failed.Text, "public.kept")
	require.True(t, b.databaseExists())
	require.Error(t, b.login("u1", "sk_u1").Ping(), "the role cannot log in")
	require.Contains(t, b.listTenants(), "u1", "the next audit lists it again")
}

func TestMissingRoleIsRecreatedWithRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	b.user("u2", "sk_two")
	b.resource("u1", "r", "rdb")
	require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
	role := database.Quote(b.rdb.TenantNames("u1").Role)
	_, err := b.admin("").Exec(`DROP OWNED BY ` + role + `; DROP ROLE ` + role)
	require.NoError(t, err)
	require.NotContains(t, b.listTenants(), "u1")
	i := b.tenantInventory()
	desired, err := i.ListDesired(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Len(t, desired, 2)
	require.Equal(t, []string{"role", "mark"}, desired[0].Needs)
	require.Equal(t, b.rdb.TenantNames("u1").Role, desired[0].Name)
	require.Empty(t, desired[1].Needs, "a user without a schema needs no role")
	later, err := i.ListDesired(t.Context(), desired[0].Row, 10)
	require.NoError(t, err)
	require.Equal(t, desired[1:], later)
	require.NoError(t, i.Repair(t.Context(), desired[0], auditinventory.Drift{Missing: []string{"role"}}))
	require.Equal(t, []string{jobs.CreateRDBType + " resource/u1/r"}, b.queue.enqueued)
	require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
	_, err = b.login("u1", "sk_one").Exec(`CREATE TABLE ` + b.schema("u1", "r") + `.t (v TEXT)`)
	require.NoError(t, err)
}

func TestNoTenantInventoryWithoutRolesAndDatabases(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *config.Config) { c.Combinator.RDB.Roles = config.RolesNone })
	for _, i := range inventory.New(b.store, b.queue, b.rdb, b.kv) {
		require.NotEqual(t, "tenant", i.Kind())
	}
}
