package combinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/test/cockroach/server"
	"app238.com/inner/test/testdatabase"
)

// TestASchemaIsMadeAndDroppedOnACockroachDB has platform and engine be CockroachDBs: every change of a schema is its own
// transaction there.
func TestASchemaIsMadeAndDroppedOnACockroachDB(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var platform *server.Server
			b := setup(t, layout, func(c *config.Config) {
				platform, c.Database.DSN = testdatabase.PlayCockroachDB(t, c.Database.DSN)
				_, c.Combinator.RDB.DSN = testdatabase.PlayCockroachDB(t, c.Combinator.RDB.DSN)
			})
			b.user("u1", "sk_one")
			b.resource("u1", "r1", "rdb")
			platform.Script(server.Fault{Statement: "COMMIT", Code: "40001"})
			for range 2 {
				require.NoError(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": "u1"}))
				require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r1")))
			}
			require.Zero(t, platform.Outstanding(), "a commit that is to be tried again was met, and tried again")
			require.Equal(t, "active", b.status("r1"))
			tenant := b.login("u1", "sk_one")
			_, err := tenant.Exec(`CREATE TABLE ` + b.schema("u1", "r1") + `.notes (id INT PRIMARY KEY)`)
			require.NoError(t, err, "schema, grant and role are there")
			require.NoError(t, tenant.Close())
			b.remove("r1")
			for range 2 {
				require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r1")))
			}
			require.False(t, b.schemaThere("u1", "r1"))
			require.Empty(t, column(t, b.admin(""), `SELECT rolname FROM pg_roles WHERE substr(rolname, 1, length($1::TEXT)) = $1`, b.head),
				"the role goes with the last schema")
			require.False(t, b.databaseThere("u1"))
		})
	}
}
