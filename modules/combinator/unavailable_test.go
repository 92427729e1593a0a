package combinator_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/rdb"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

// execOnServer returns a function that executes statements in the database postgres of the engine's server.
func (b *bundle) execOnServer() func(statement string) {
	db := b.connect("postgres", nil)
	return func(statement string) {
		b.t.Helper()
		_, err := db.ExecContext(context.Background(), statement)
		require.NoError(b.t, err)
	}
}

// reconnect gives the bundle an engine without connections.
func (b *bundle) reconnect() {
	b.t.Helper()
	require.NoError(b.t, b.rdb.Close())
	var err error
	b.rdb, err = rdb.New(b.config, b.store, zap.NewNop())
	require.NoError(b.t, err)
}

func TestMissingSharedDatabaseSnoozesTasks(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "its databases are renamed at any time")
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			b.user("u1", "sk_u1")
			b.addSchema("u1", "r1")
			b.resource("u1", "r3", "rdb")
			b.user("u2", "sk_u2")
			b.resource("u2", "r2", "rdb")
			_, err := b.db.Exec(`UPDATE combinator_resources SET status = 'active' WHERE resource_id = 'r3'`)
			require.NoError(t, err, "a resource of an earlier release is active and has no recorded name")
			b.remove("r1")
			admin := b.execOnServer()
			u, err := url.Parse(b.tenants)
			require.NoError(t, err)
			shared := database.Quote(u.Path[1:])
			moved := database.Quote(u.Path[1:] + "_moved")
			b.reconnect()
			admin(`ALTER DATABASE ` + shared + ` RENAME TO ` + moved)
			for _, one := range [][3]string{{jobs.DeleteRDBType, "u1", "r1"}, {jobs.CreateRDBType, "u2", "r2"},
				{jobs.CreateRDBType, "u1", "r3"}} {
				var waiting *job.Error
				require.ErrorAs(t, b.run(one[0], ref(one[1], one[2])), &waiting, one)
				require.Equal(t, job.Snooze, waiting.Kind, "%v: %v", one, waiting)
			}
			require.Empty(t, b.queue.accepted, "no pod is notified")
			b.reconnect()
			admin(`ALTER DATABASE ` + moved + ` RENAME TO ` + shared)
			require.True(t, b.schemaExists("u1", "r1"))
			require.Equal(t, []string{"r1", "r2"}, column(t, b.db.DB, `SELECT resource_id FROM combinator_places ORDER BY resource_id`),
				"the name of r1 is still recorded, and that of r3 was not guessed")
			require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r1")))
			require.NoError(t, b.run(jobs.CreateRDBType, ref("u2", "r2")))
			require.False(t, b.schemaExists("u1", "r1"))
		})
	}
}

func TestMissingRoleWithFullDatabaseSnoozesTask(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "triggers")
	b := setup(t)
	b.user("u1", "sk_one")
	b.resource("u1", "r", "rdb")
	require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
	b.dropTenant()
	admin := b.open(b.config.Database.DSN.Reveal())
	_, err := admin.Exec(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$;
CREATE TRIGGER full_disk BEFORE UPDATE ON combinator_tenants FOR EACH ROW WHEN (NEW.prepared = 'unknown') EXECUTE FUNCTION full_disk()`)
	require.NoError(t, err)
	var waiting *job.Error
	require.ErrorAs(t, b.run(jobs.CreateRDBType, ref("u1", "r")), &waiting)
	require.Equal(t, job.Snooze, waiting.Kind, waiting)
	_, err = admin.Exec(`DROP TRIGGER full_disk ON combinator_tenants`)
	require.NoError(t, err)
	require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
}

func TestEngineRefusingConnectionsSnoozesTasks(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "the server of the tests has no TLS, and rejects unknown settings")
	for name, c := range map[string]struct{ setting, words string }{
		"no TLS":     {"sslmode=require", "offers no TLS"},
		"no setting": {"sslmode=disable&no_such_setting=1", "SQLSTATE 42704"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(all *config.Config) {
				dsn := all.Combinator.RDB.DSN.Reveal()
				require.Contains(t, dsn, "sslmode=disable")
				all.Combinator.RDB.DSN = config.Secret(strings.Replace(dsn, "sslmode=disable", c.setting, 1))
			})
			b.user("u1", "sk_one")
			b.resource("u1", "r1", "rdb")
			for kind, payload := range map[string]any{
				jobs.CreateRDBType: ref("u1", "r1"), jobs.DeleteRDBType: ref("u1", "r2"),
				jobs.RegisterUserType: map[string]string{"user_uid": "u1"},
			} {
				var waiting *job.Error
				require.ErrorAs(t, b.run(kind, payload), &waiting, kind)
				require.Equal(t, job.Snooze, waiting.Kind, "%s: %v", kind, waiting)
			}
			require.Equal(t, "loading", b.status("r1"))
			require.ErrorContains(t, b.rdb.Ready(t.Context()), c.words)
		})
	}
}
