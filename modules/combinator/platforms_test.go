package combinator_test

import (
	"context"
	"maps"
	"slices"
	"strings"
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

// queued is a task that was queued.
type queued struct {
	kind    string
	payload job.Payload
}

// runAudit does what an audit in mode delete does that trusts everything it reads: it repairs rows that lack an object, and
// deletes objects without a row. It returns what was deleted and what was repaired.
func (b *bundle) runAudit() (deleted, repaired []string) {
	b.t.Helper()
	b.queue.queued = nil
	for _, i := range inventory.New(b.store, b.queue, b.rdb, b.kv) {
		objects := map[string]auditinventory.Object{}
		require.NoError(b.t, i.ListActual(b.t.Context(), func(page []auditinventory.Object) error {
			for _, o := range page {
				o.Parts = append(objects[o.Name].Parts, o.Parts...)
				objects[o.Name] = o
			}
			return nil
		}))
		desired, err := i.ListDesired(b.t.Context(), 0, 1000)
		require.NoError(b.t, err)
		for _, row := range desired {
			drift := auditinventory.Drift{}
			for _, part := range row.Needs {
				if !slices.Contains(objects[row.Name].Parts, part) {
					drift.Missing = append(drift.Missing, part)
				}
			}
			delete(objects, row.Name)
			if len(drift.Missing) > 0 {
				repaired = append(repaired, i.Kind()+" "+row.ID)
				require.NoError(b.t, i.Repair(b.t.Context(), row, drift))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(objects)) {
			deleted = append(deleted, i.Kind()+" "+objects[name].ID)
			require.NoError(b.t, i.Delete(b.t.Context(), objects[name]))
		}
	}
	for _, one := range b.queue.queued {
		var failed *job.Error
		if err := b.run(one.kind, one.payload); err != nil {
			require.ErrorAs(b.t, err, &failed)
			require.Equal(b.t, job.Terminal, failed.Kind, err)
		}
	}
	return deleted, repaired
}

// copiedTables are the tables in a copy of a platform's database that concern combinator.
var copiedTables = []string{"users", "combinator_resources", "combinator_tenants", "combinator_places", "inner_platform"}

// copyAsStaging returns another platform with the same settings except its name, the same engines and a copy of the
// database, as a staging platform is made.
func (b *bundle) copyAsStaging() *bundle {
	b.t.Helper()
	copiedTables := b.copyWith(func(c *config.Config) { c.Platform += "-staging" })
	copiedTables.copyRows(b)
	return copiedTables
}

// copyWith returns another bundle with the same engines and the same settings, except for what change changes.
func (b *bundle) copyWith(change func(*config.Config)) *bundle {
	b.t.Helper()
	other := setup(b.t, func(c *config.Config) {
		c.Platform, c.Combinator = b.config.Platform, b.config.Combinator
		change(c)
	})
	other.tenants, other.head = b.tenants, b.head
	return other
}

func (b *bundle) copyRows(from *bundle) {
	b.t.Helper()
	source, target := from.open(from.config.Database.DSN.Reveal()), b.open(b.config.Database.DSN.Reveal())
	for _, table := range copiedTables {
		_, err := target.Exec(`DELETE FROM ` + table)
		require.NoError(b.t, err)
		for _, row := range column(b.t, source, `SELECT row_to_json(t)::TEXT FROM `+table+` t`) {
			_, err := target.Exec(`INSERT INTO `+table+` SELECT (json_populate_record(NULL::`+table+`, $1::JSON)).*`, row)
			require.NoError(b.t, err)
		}
	}
	require.NotEmpty(b.t, column(b.t, target, `SELECT setval(pg_get_serial_sequence('combinator_places', 'id'), 1000)::TEXT`))
}

// id returns a resource id that no other test uses: a store is searched for resources under any prefix.
func (b *bundle) id(of string) string { return of + strings.Trim(b.head, "_") }

// addResources creates for u1 a schema with a table and a namespace with a key, with these ids.
func (b *bundle) addResources(rdbID, kvID string) {
	b.t.Helper()
	b.resource("u1", rdbID, "rdb")
	b.resource("u1", kvID, "kv")
	require.NoError(b.t, b.run(jobs.CreateRDBType, ref("u1", rdbID)))
	require.NoError(b.t, b.run(jobs.CreateKVType, ref("u1", kvID)))
	db := b.login("u1", "sk_one")
	_, err := db.Exec(`CREATE TABLE ` + b.schema("u1", rdbID) + `.t (v TEXT)`)
	require.NoError(b.t, err)
	require.NoError(b.t, db.Close())
	put(b.t, b.client(), b.prefix(kvID)+"key")
}

// requireResources checks that the user can use what addResources created.
func (b *bundle) requireResources(rdbID, kvID string) {
	b.t.Helper()
	db := b.login("u1", "sk_one")
	_, err := db.Exec(`SELECT v FROM ` + b.schema("u1", rdbID) + `.t`)
	require.NoError(b.t, err)
	require.NoError(b.t, db.Close())
	require.True(b.t, b.namespaceExists(kvID))
	require.Equal(b.t, []string{b.prefix(kvID) + "key"}, keys(b.t, b.client(), b.prefix(kvID)))
}

func TestCopiedPlatformKeepsResourcesOfOriginal(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			original := setup(t, layout)
			k1, k2 := original.id("k1"), original.id("k2")
			original.user("u1", "sk_one")
			original.addResources("r1", k1)
			staging := original.copyAsStaging()
			original.addResources("r2", k2) // the copy has no row of it
			deleted, repaired := staging.runAudit()
			require.Empty(t, deleted)
			require.ElementsMatch(t, []string{"rdb r1", "kv " + k1, "tenant u1"}, repaired, "another platform's")
			require.Equal(t, []string{"error"}, column(t, staging.db.DB, `SELECT DISTINCT status FROM combinator_resources`))

			_, err := staging.db.Exec(`UPDATE users SET secret_key = 'sk_other'`)
			require.NoError(t, err)
			require.NoError(t, staging.run(jobs.SyncPasswordsType, map[string]string{}))
			original.requireResources("r1", k1)

			_, err = staging.db.Exec(`DELETE FROM combinator_resources; DELETE FROM users`)
			require.NoError(t, err)
			staging.requireOtherPlatform(jobs.DeleteRDBType, ref("u1", "r1"),
				"schema "+original.rdb.Name(engine.Resource{UserUID: "u1", ResourceID: "r1"}))
			staging.requireOtherPlatform(jobs.DeleteKVType, ref("u1", k1), "prefix "+original.prefix(k1))
			staging.requireOtherPlatform(jobs.RemoveTenantType, map[string]string{"user_uid": "u1"}, staging.head)
			_, err = staging.kv.Sweep(t.Context())
			require.NoError(t, err)
			deleted, _ = staging.runAudit()
			require.Empty(t, deleted)
			original.requireResources("r1", k1)
			original.requireResources("r2", k2)
			deleted, repaired = original.runAudit()
			require.Empty(t, append(deleted, repaired...), "the original has no finding")
		})
	}
}

func TestPlatformsShareEngines(t *testing.T) {
	t.Parallel()
	one := setup(t)
	k1 := one.id("k1")
	other := one.copyWith(func(c *config.Config) { c.Platform += "-other" })
	one.user("u1", "sk_one")
	one.addResources("r1", k1)
	other.user("u3", "sk_three")
	other.resource("u3", "r3", "rdb")
	require.NoError(t, other.run(jobs.CreateRDBType, ref("u3", "r3")))
	deleted, repaired := other.runAudit()
	require.Empty(t, append(deleted, repaired...))
	one.requireResources("r1", k1)
	_, err := one.db.Exec(`DELETE FROM combinator_resources`)
	require.NoError(t, err)
	deleted, _ = one.runAudit()
	require.Equal(t, []string{"kv " + k1, "rdb r1"}, slices.Sorted(slices.Values(deleted)), "its own resources")
	require.False(t, one.schemaExists("u1", "r1"))
	require.True(t, other.schemaExists("u3", "r3"))
}

// unmark makes the engines' content look as an earlier release left it: marks on schemas only, without a platform.
func (b *bundle) unmark(userUID, rdbID, kvID string) {
	b.t.Helper()
	b.unmarkRole(userUID)
	db := b.admin(b.database(userUID))
	_, err := db.Exec(`COMMENT ON SCHEMA ` + b.schema(userUID, rdbID) + ` IS 'inner-gateway ` + userUID + "/" + rdbID + "'")
	require.NoError(b.t, err)
	record := "_inner/namespaces/" + b.prefix(kvID)
	tx, err := b.client().Begin()
	require.NoError(b.t, err)
	require.NoError(b.t, tx.Set([]byte(record), []byte(`{"user_uid":"`+userUID+`","resource_id":"`+kvID+`","prefix":"`+b.prefix(kvID)+
		`","state":"active","created_at":"2026-01-01T00:00:00Z"}`)))
	require.NoError(b.t, tx.Commit(context.Background()))
	_, err = b.db.Exec(`UPDATE combinator_tenants SET platform = '', role_name = '', database_name = '', lease_number = 0; DELETE FROM combinator_places`)
	require.NoError(b.t, err)
}

func (b *bundle) unmarkRole(userUID string) {
	b.t.Helper()
	place := b.rdb.TenantNames(userUID)
	_, err := b.admin("").Exec(`COMMENT ON ROLE ` + database.Quote(place.Role) + ` IS NULL`)
	require.NoError(b.t, err)
	if place.Database != "" {
		_, err := b.admin("").Exec(`COMMENT ON DATABASE ` + database.Quote(place.Database) + ` IS NULL`)
		require.NoError(b.t, err)
	}
}

func TestReferencedResourcesOfEarlierReleaseAreAdopted(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			k1 := b.id("k1")
			b.user("u1", "sk_one")
			b.addResources("r1", k1)
			b.unmark("u1", "r1", k1)
			stranger := b.copyWith(func(c *config.Config) { c.Platform += "-stranger" })
			deleted, repaired := stranger.runAudit()
			require.Empty(t, append(deleted, repaired...), "no row of the other platform refers to it")
			deleted, repaired = b.runAudit()
			require.Empty(t, deleted)
			require.ElementsMatch(t, []string{"rdb r1", "kv " + k1, "tenant u1"}, repaired, "the objects have no mark of this platform")
			deleted, repaired = b.runAudit()
			require.Empty(t, append(deleted, repaired...))
			b.requireResources("r1", k1)
			require.ElementsMatch(t, []string{"rdb", "kv"}, column(t, b.db.DB, `SELECT resource_type FROM combinator_places`))
			var prefix string
			require.NoError(t, stranger.kv.List(t.Context(), func(found []engine.Found) error {
				for _, one := range found {
					prefix = one.ResourceID
				}
				return nil
			}))
			require.Empty(t, prefix)
		})
	}
}

func TestResourcesOfEarlierReleaseAreDeleted(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			k1 := b.id("k1")
			b.user("u1", "sk_one")
			b.addResources("r1", k1)
			b.unmark("u1", "r1", k1)
			b.remove("r1")
			b.remove(k1)
			require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r1")))
			require.NoError(t, b.run(jobs.DeleteKVType, ref("u1", k1)))
			require.False(t, b.schemaExists("u1", "r1"))
			require.False(t, b.roleExists())
			require.False(t, b.databaseExists())
			require.Empty(t, keys(t, b.client(), b.prefix(k1)))
		})
	}
}

func TestUnrecordedResourceUnderOtherNameSnoozesCreate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k1 := b.id("k1")
	b.user("u1", "sk_one")
	b.addResources("r1", k1)
	b.unmark("u1", "r1", k1)
	renamed := b.copyWith(func(c *config.Config) {
		c.Combinator.RDB.Names.Schema = "s_{user_uid}_{resource_id}"
		c.Combinator.KV.Prefix = "other_" + c.Combinator.KV.Prefix
	})
	renamed.copyRows(b)
	for kind, rid := range map[string]string{jobs.CreateRDBType: "r1", jobs.CreateKVType: k1} {
		var waiting *job.Error
		require.ErrorAs(t, renamed.run(kind, ref("u1", rid)), &waiting)
		require.Equal(t, job.Snooze, waiting.Kind, kind)
		require.Equal(t, "active", renamed.status(rid), "the data exists")
	}
	require.False(t, renamed.schemaExists("u1", "r1"))
	require.NoError(t, renamed.run(jobs.DeleteRDBType, ref("u1", "r1")))
	require.NoError(t, renamed.run(jobs.DeleteKVType, ref("u1", k1)))
	b.requireResources("r1", k1)
}
