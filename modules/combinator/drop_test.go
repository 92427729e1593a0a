package combinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/test/testdatabase"
)

func TestDeleteKeepsSchemaOfOtherPlatform(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		for server, play := range servers(t) {
			t.Run(name+" on "+server, func(t *testing.T) {
				t.Parallel()
				b := setup(t, layout, play)
				for _, uid := range []string{"u1", "u2"} {
					b.user(uid, "sk_"+uid)
					b.createSchema(uid, "r1")
				}
				r := engine.Resource{UserUID: "u1", ResourceID: "r1"}
				tenant := engine.Tenant{UserUID: "u1", Names: b.rdb.TenantNames("u1")}
				for comment, isKept := range map[string]bool{
					b.mark("u1"): false,
					"inner-gateway " + b.config.PlatformMark() + " u1/r1": false, // before marks were encrypted
					"inner-gateway u1/r1":                  false, // of an earlier release
					"":                                     false,
					"somebody's note":                      false,
					"inner-gateway 0123456789abcdef u1/r1": true,
					"inner-gateway u2/r1":                  true,
					b.mark("u2"):                           true,
				} {
					require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r1")))
					db := b.admin(b.database("u1"))
					_, err := db.Exec(`CREATE TABLE ` + b.schema("u1", "r1") + `.t (v TEXT); COMMENT ON SCHEMA ` + b.schema("u1", "r1") +
						` IS ` + database.Literal(comment))
					require.NoError(t, err)
					for range 2 { // the second time the schema may be missing
						_, err = b.rdb.Delete(t.Context(), tenant, r, b.rdb.Name(r), false)
						if isKept {
							require.ErrorAs(t, err, new(*engine.OtherPlatformError))
							continue
						}
						require.NoError(t, err)
					}
					require.Equal(t, isKept, b.schemaExists("u1", "r1"), comment)
					if isKept {
						_, err = db.Exec(`DROP SCHEMA ` + b.schema("u1", "r1") + ` CASCADE`)
						require.NoError(t, err)
					}
				}
			})
		}
	}
}

func TestDatabaseWithPublicRelationsIsKept(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		`CREATE MATERIALIZED VIEW public.kept AS SELECT 1 AS v`, `CREATE SEQUENCE public.kept`, `CREATE TABLE public.kept (v TEXT)`,
	} {
		b := setup(t, ownDatabases)
		b.user("u1", "sk_one")
		b.resource("u1", "r1", "rdb")
		require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r1")))
		_, err := b.admin(b.database("u1")).Exec(data)
		require.NoError(t, err)
		b.remove("r1")
		require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r1")))
		require.True(t, b.databaseExists(), data)
	}
}

// servers returns the kinds of servers of an engine.
func servers(t *testing.T) map[string]func(*config.Config) {
	return map[string]func(*config.Config){
		"PostgreSQL": func(*config.Config) {},
		"CockroachDB": func(c *config.Config) {
			_, c.Combinator.RDB.DSN = testdatabase.EmulateCockroachDB(t, c.Combinator.RDB.DSN)
		},
	}
}
