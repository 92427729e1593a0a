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
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/stock"
	"app238.com/inner/modules/tasks/job"
)

// queued is a job that the audit asked for.
type queued struct {
	kind    string
	payload job.Payload
}

// audit does what an audit in mode delete does at once that trusts all that it sees: what a row wishes and is not there is made,
// and what is there and no row wishes is deleted. It returns what was deleted and what was repaired.
func (b *bundle) audit() (deleted, repaired []string) {
	b.t.Helper()
	b.queue.asked = nil
	for _, i := range stock.New(b.rows, b.queue, b.rdb, b.kv) {
		things := map[string]inventory.Object{}
		require.NoError(b.t, i.World(b.t.Context(), func(page []inventory.Object) error {
			for _, o := range page {
				o.Parts = append(things[o.Name].Parts, o.Parts...)
				things[o.Name] = o
			}
			return nil
		}))
		wishes, err := i.Rows(b.t.Context(), 0, 1000)
		require.NoError(b.t, err)
		for _, wish := range wishes {
			fault := inventory.Fault{}
			for _, part := range wish.Needs {
				if !slices.Contains(things[wish.Name].Parts, part) {
					fault.Missing = append(fault.Missing, part)
				}
			}
			delete(things, wish.Name)
			if len(fault.Missing) > 0 {
				repaired = append(repaired, i.Kind()+" "+wish.ID)
				require.NoError(b.t, i.Repair(b.t.Context(), wish, fault))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(things)) {
			deleted = append(deleted, i.Kind()+" "+things[name].ID)
			require.NoError(b.t, i.Delete(b.t.Context(), things[name]))
		}
	}
	for _, one := range b.queue.asked {
		var failed *job.Error
		if err := b.run(one.kind, one.payload); err != nil {
			require.ErrorAs(b.t, err, &failed)
			require.Equal(b.t, job.Permanent, failed.Kind, err)
		}
	}
	return deleted, repaired
}

// copied are the tables of which a copy of a platform's database consists, as far as combinator is concerned.
var copied = []string{"users", "combinator_resources", "combinator_tenants", "combinator_places", "inner_platform"}

// clone returns another platform with the same settings but for its name, the same engines and a copy of the database, as a
// staging platform is made.
func (b *bundle) clone() *bundle {
	b.t.Helper()
	copied := b.copies(func(c *config.Config) { c.Platform += "-staging" })
	copied.copyRows(b)
	return copied
}

// copies returns another bundle with the same settings, but for what change changes, and the same engines.
func (b *bundle) copies(change func(*config.Config)) *bundle {
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
	for _, table := range copied {
		_, err := target.Exec(`DELETE FROM ` + table)
		require.NoError(b.t, err)
		for _, row := range column(b.t, source, `SELECT row_to_json(t)::TEXT FROM `+table+` t`) {
			_, err := target.Exec(`INSERT INTO `+table+` SELECT (json_populate_record(NULL::`+table+`, $1::JSON)).*`, row)
			require.NoError(b.t, err)
		}
	}
	require.NotEmpty(b.t, column(b.t, target, `SELECT setval(pg_get_serial_sequence('combinator_places', 'id'), 1000)::TEXT`))
}

// id is a resource's that no other test has: a store is searched for resources, whatever their prefixes are.
func (b *bundle) id(of string) string { return of + strings.Trim(b.head, "_") }

// inhabited gives u1 a schema with a table and a namespace with a key of these ids.
func (b *bundle) inhabited(rdbID, kvID string) {
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

// lives checks that what inhabited made is there, for its user.
func (b *bundle) lives(rdbID, kvID string) {
	b.t.Helper()
	db := b.login("u1", "sk_one")
	_, err := db.Exec(`SELECT v FROM ` + b.schema("u1", rdbID) + `.t`)
	require.NoError(b.t, err)
	require.NoError(b.t, db.Close())
	require.True(b.t, b.namespaceThere(kvID))
	require.Equal(b.t, []string{b.prefix(kvID) + "key"}, keys(b.t, b.client(), b.prefix(kvID)))
}

func TestACopyOfAPlatformTouchesNothingOfItsOriginals(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			original := setup(t, layout)
			k1, k2 := original.id("k1"), original.id("k2")
			original.user("u1", "sk_one")
			original.inhabited("r1", k1)
			staging := original.clone()
			original.inhabited("r2", k2) // of which the copy knows nothing
			deleted, repaired := staging.audit()
			require.Empty(t, deleted)
			require.ElementsMatch(t, []string{"rdb r1", "kv " + k1, "tenant u1"}, repaired, "what the copied rows wish is not this platform's")
			require.Equal(t, []string{"error"}, column(t, staging.db.DB, `SELECT DISTINCT status FROM combinator_resources`), "and that is told")

			_, err := staging.db.Exec(`UPDATE users SET secret_key = 'sk_other'`)
			require.NoError(t, err)
			require.NoError(t, staging.run(jobs.SyncPasswordsType, map[string]string{}))
			original.lives("r1", k1)

			_, err = staging.db.Exec(`DELETE FROM combinator_resources; DELETE FROM users`)
			require.NoError(t, err)
			staging.refused(jobs.DeleteRDBType, ref("u1", "r1"), "schema "+original.rdb.Name(engine.Resource{UserUID: "u1", ResourceID: "r1"}))
			staging.refused(jobs.DeleteKVType, ref("u1", k1), "prefix "+original.prefix(k1))
			staging.refused(jobs.RemoveTenantType, map[string]string{"user_uid": "u1"}, staging.head)
			_, err = staging.kv.Sweep(t.Context())
			require.NoError(t, err)
			deleted, _ = staging.audit()
			require.Empty(t, deleted)
			original.lives("r1", k1)
			original.lives("r2", k2)
			deleted, repaired = original.audit()
			require.Empty(t, append(deleted, repaired...), "the original sees nothing amiss")
		})
	}
}

func TestPlatformsWithOtherUsersShareTheEngines(t *testing.T) {
	t.Parallel()
	one := setup(t)
	k1 := one.id("k1")
	other := one.copies(func(c *config.Config) { c.Platform += "-other" })
	one.user("u1", "sk_one")
	one.inhabited("r1", k1)
	other.user("u3", "sk_three")
	other.resource("u3", "r3", "rdb")
	require.NoError(t, other.run(jobs.CreateRDBType, ref("u3", "r3")))
	deleted, repaired := other.audit()
	require.Empty(t, append(deleted, repaired...))
	one.lives("r1", k1)
	_, err := one.db.Exec(`DELETE FROM combinator_resources`)
	require.NoError(t, err)
	deleted, _ = one.audit()
	require.Equal(t, []string{"kv " + k1, "rdb r1"}, slices.Sorted(slices.Values(deleted)), "what is one's own is still looked after")
	require.False(t, one.schemaThere("u1", "r1"))
	require.True(t, other.schemaThere("u3", "r3"))
}

// unmark makes what the engines hold look as an earlier release left it: marks on schemas alone, and without a platform.
func (b *bundle) unmark(userUID, rdbID, kvID string) {
	b.t.Helper()
	b.unmarkRole(userUID)
	db := b.admin(b.database(userUID))
	_, err := db.Exec(`COMMENT ON SCHEMA ` + b.schema(userUID, rdbID) + ` IS ` + database.Literal("inner-gateway "+userUID+"/"+rdbID))
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
	place := b.rdb.Place(userUID)
	_, err := b.admin("").Exec(`COMMENT ON ROLE ` + database.Quote(place.Role) + ` IS NULL`)
	require.NoError(b.t, err)
	if place.Database != "" {
		_, err := b.admin("").Exec(`COMMENT ON DATABASE ` + database.Quote(place.Database) + ` IS NULL`)
		require.NoError(b.t, err)
	}
}

func TestWhatAnEarlierReleaseMadeBecomesThePlatformsWhereARowRefersToIt(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			k1 := b.id("k1")
			b.user("u1", "sk_one")
			b.inhabited("r1", k1)
			b.unmark("u1", "r1", k1)
			stranger := b.copies(func(c *config.Config) { c.Platform += "-stranger" })
			deleted, repaired := stranger.audit()
			require.Empty(t, append(deleted, repaired...), "no row of the other platform refers to it")
			deleted, repaired = b.audit()
			require.Empty(t, deleted)
			require.ElementsMatch(t, []string{"rdb r1", "kv " + k1, "tenant u1"}, repaired, "it has no mark of this platform")
			deleted, repaired = b.audit()
			require.Empty(t, append(deleted, repaired...))
			b.lives("r1", k1)
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

func TestWhatAnEarlierReleaseMadeIsStillDeleted(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			k1 := b.id("k1")
			b.user("u1", "sk_one")
			b.inhabited("r1", k1)
			b.unmark("u1", "r1", k1)
			b.remove("r1")
			b.remove(k1)
			require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r1")))
			require.NoError(t, b.run(jobs.DeleteKVType, ref("u1", k1)))
			require.False(t, b.schemaThere("u1", "r1"))
			require.False(t, b.roleThere())
			require.False(t, b.databaseThere())
			require.Empty(t, keys(t, b.client(), b.prefix(k1)))
		})
	}
}

func TestNoneIsMadeBesideWhatAnEarlierReleaseMadeUnderAnotherName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k1 := b.id("k1")
	b.user("u1", "sk_one")
	b.inhabited("r1", k1)
	b.unmark("u1", "r1", k1)
	renamed := b.copies(func(c *config.Config) {
		c.Combinator.RDB.Names.Schema = "s_{user_uid}_{resource_id}"
		c.Combinator.KV.Prefix = "other_" + c.Combinator.KV.Prefix
	})
	renamed.copyRows(b)
	for kind, rid := range map[string]string{jobs.CreateRDBType: "r1", jobs.CreateKVType: k1} {
		var waiting *job.Error
		require.ErrorAs(t, renamed.run(kind, ref("u1", rid)), &waiting)
		require.Equal(t, job.Later, waiting.Kind, kind)
		require.Equal(t, "active", renamed.status(rid), "the data is there")
	}
	require.False(t, renamed.schemaThere("u1", "r1"))
	require.NoError(t, renamed.run(jobs.DeleteRDBType, ref("u1", "r1")))
	require.NoError(t, renamed.run(jobs.DeleteKVType, ref("u1", k1)))
	b.lives("r1", k1)
}
