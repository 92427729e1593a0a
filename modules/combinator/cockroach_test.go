package combinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/test/cockroach/server"
	"app238.com/inner/test/testdatabase"
)

// TestSchemaIsCreatedAndDroppedOnCockroachDB runs the platform and the engine on CockroachDB, where every change of a schema
// is a transaction of its own.
func TestSchemaIsCreatedAndDroppedOnCockroachDB(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var platform *server.Server
			b := setup(t, layout, func(c *config.Config) {
				platform, c.Database.DSN = testdatabase.EmulateCockroachDB(t, c.Database.DSN)
				_, c.Combinator.RDB.DSN = testdatabase.EmulateCockroachDB(t, c.Combinator.RDB.DSN)
			})
			b.user("u1", "sk_one")
			b.resource("u1", "r1", "rdb")
			platform.Script(server.Fault{Statement: "INSERT INTO combinator_tenants", Code: "40001"})
			for range 2 {
				require.NoError(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": "u1"}))
				require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r1")))
			}
			require.Zero(t, platform.Outstanding(), "the retryable error occurred and was retried")
			require.Equal(t, "active", b.status("r1"))
			tenant := b.login("u1", "sk_one")
			_, err := tenant.Exec(`CREATE TABLE ` + b.schema("u1", "r1") + `.notes (id INT PRIMARY KEY)`)
			require.NoError(t, err, "schema, grant and role exist")
			require.NoError(t, tenant.Close())
			b.remove("r1")
			for range 2 {
				require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r1")))
			}
			require.False(t, b.schemaExists("u1", "r1"))
			require.Empty(t,
				column(t, b.admin(""), `SELECT rolname FROM pg_roles WHERE substr(rolname, 1, length($1::TEXT)) = $1`, b.head),
				"the role is dropped with the last schema")
			require.False(t, b.databaseExists())
		})
	}
}

func TestForbiddenSizesAreDeleted(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout, func(c *config.Config) {
				_, c.Combinator.RDB.DSN = testdatabase.EmulateCockroachDB(t, c.Combinator.RDB.DSN)
			})
			b.user("u1", "sk_one")
			b.resource("u1", "r1", "rdb")
			require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r1")))
			_, err := b.db.Exec(`INSERT INTO combinator_sizes (user_uid, resource_id, bytes, measured_at) VALUES ('u1', 'r1', 7, LOCALTIMESTAMP)`)
			require.NoError(t, err)
			_, _, err = b.rdb.Sizes(t.Context())
			require.ErrorIs(t, err, engine.ErrForbidden)
			require.NoError(t, b.run(jobs.MeasureRDBType, map[string]string{}), "a retry does not help")
			require.Empty(t, column(t, b.db.DB, `SELECT resource_id FROM combinator_sizes`), "old sizes are deleted")
		})
	}
}
