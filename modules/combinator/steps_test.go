package combinator_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	auditinventory "app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/combinator/internal/inventory"
	"app238.com/inner/modules/combinator/internal/jobs"
)

// failAtEachStatement runs a job on u1's resource r once per statement, and makes that statement its last one, before it is
// sent or after it was carried out. Each statement is a transaction of its own, as on CockroachDB. It calls check after each
// run, until the job succeeds.
func (b *bundle) failAtEachStatement(kind string, after bool, prepare, check func()) {
	b.t.Helper()
	for n, hit := 1, true; hit; n++ {
		prepare()
		b.faults.breakAt(n, after)
		err := b.run(kind, ref("u1", "r"))
		hit = b.faults.hit()
		b.faults.off()
		require.True(b.t, hit || err == nil, err)
		b.expireLeases()
		check()
	}
}

func TestSchemaJobsSurviveLastStatementAtEveryStep(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			b.faults.each = true
			b.user("u1", "sk_one")
			checkNeighbour := b.addNeighbour()
			begin := func() { b.resource("u1", "r", "rdb") }
			drop := func() {
				require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r")))
				b.requireRemoved()
			}
			b.failAtEachStatement(jobs.CreateRDBType, true, begin, func() {
				b.requireIsolated()
				b.requireCompleted()
				b.remove("r")
				drop()
			})
			b.failAtEachStatement(jobs.CreateRDBType, false, begin, func() {
				b.remove("r")
				drop()
			})
			b.failAtEachStatement(jobs.DeleteRDBType, true, func() {
				begin()
				require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
				b.remove("r")
			}, func() {
				b.requireIsolated()
				drop()
			})
			checkNeighbour()
		})
	}
}

func TestRecreateSurvivesLastStatementAtEveryStep(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			b.faults.each = true
			b.user("u1", "sk_one")
			b.failAtEachStatement(jobs.CreateRDBType, true, func() {
				b.resource("u1", "r", "rdb")
				require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
				b.dropTenant()
			}, func() {
				b.requireCompleted()
				b.remove("r")
				require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r")))
				b.requireRemoved()
			})
		})
	}
}

// dropTenant drops what u1 has in the engine without Inner, as a restore of the engine to an older state does.
func (b *bundle) dropTenant() {
	b.t.Helper()
	place := b.rdb.TenantNames("u1")
	admin := b.admin("")
	if place.Database != "" {
		_, err := admin.Exec(`DROP DATABASE ` + database.Quote(place.Database))
		require.NoError(b.t, err)
	} else {
		_, err := admin.Exec(`DROP SCHEMA ` + b.schema("u1", "r") + ` CASCADE`)
		require.NoError(b.t, err)
	}
	role := database.Quote(place.Role)
	_, err := admin.Exec(`DROP OWNED BY ` + role + `; DROP ROLE ` + role)
	require.NoError(b.t, err)
}

// requireCompleted checks that the interrupted job succeeds when it is repeated, and that u1 can then use the schema.
func (b *bundle) requireCompleted() {
	b.t.Helper()
	require.NoError(b.t, b.run(jobs.CreateRDBType, ref("u1", "r")))
	tenant := b.login("u1", "sk_one")
	_, err := tenant.Exec(`CREATE TABLE ` + b.schema("u1", "r") + `.t (v TEXT)`)
	require.NoError(b.t, err)
	require.NoError(b.t, tenant.Close())
}

// requireIsolated checks that u2 cannot connect to a half-made database of u1, and that the audit lists whatever exists of
// u1.
func (b *bundle) requireIsolated() {
	b.t.Helper()
	b.requireListed("r")
	if !b.databaseExists() {
		return
	}
	db := b.connect(b.database("u1"), url.UserPassword(b.rdb.TenantNames("u2").Role, "sk_two"))
	_, err := db.Exec(`SELECT 1`)
	require.Error(b.t, err)
	require.NoError(b.t, db.Close())
}

// requireRemoved checks that nothing is left of u1 and r, and nothing recorded.
func (b *bundle) requireRemoved() {
	b.t.Helper()
	require.False(b.t, b.schemaExists("u1", "r"))
	require.False(b.t, b.roleExists())
	require.False(b.t, b.databaseExists())
	require.Empty(b.t, column(b.t, b.db.DB, `SELECT name FROM combinator_places WHERE user_uid = 'u1'`))
	require.Empty(b.t, column(b.t, b.db.DB, `SELECT user_uid FROM combinator_tenants WHERE user_uid = 'u1'`))
}

// requireListed checks that the audit lists whatever is in the engine of u1's resource.
func (b *bundle) requireListed(rid string) {
	b.t.Helper()
	if b.schemaExists("u1", rid) {
		require.Contains(b.t, b.listActual("rdb"), "u1/"+rid)
	}
	if b.roleExists() || b.databaseExists() {
		require.Contains(b.t, b.listActual("tenant"), "u1/u1")
	}
}

// listActual returns what an inventory lists, with the parts, by owner and id.
func (b *bundle) listActual(kind string) map[string][]string {
	b.t.Helper()
	all := map[string][]string{}
	for _, i := range inventory.New(b.store, b.queue, b.rdb, b.kv) {
		if i.Kind() != kind {
			continue
		}
		require.NoError(b.t, i.ListActual(b.t.Context(), func(page []auditinventory.Object) error {
			for _, o := range page {
				all[o.Owner+"/"+o.ID] = append(all[o.Owner+"/"+o.ID], o.Parts...)
			}
			return nil
		}))
	}
	return all
}

func TestRoleWithGrantsKeepsConnectRight(t *testing.T) {
	t.Parallel()
	b := setup(t, layouts()["shared database"])
	b.faults.each = true
	b.user("u1", "sk_one")
	b.resource("u1", "r", "rdb")
	require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
	_, err := b.admin("").Exec(`CREATE SCHEMA extra; CREATE TABLE extra.t (v TEXT); GRANT SELECT ON extra.t TO ` +
		b.rdb.TenantNames("u1").Role)
	require.NoError(t, err)
	b.remove("r")
	require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r")))
	require.True(t, b.roleExists())
	var one int
	require.NoError(t, b.login("u1", "sk_one").QueryRow(`SELECT 1`).Scan(&one))
	require.Contains(t, b.listActual("tenant"), "u1/u1")
	_, err = b.admin("").Exec(`DROP SCHEMA extra CASCADE`)
	require.NoError(t, err)
}
