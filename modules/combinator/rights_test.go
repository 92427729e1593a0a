package combinator_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

// unprivileged makes Inner log in with only the rights of docs/databases.md.
func unprivileged(t *testing.T, layout func(*config.Config)) func(*config.Config) {
	t.Helper()
	return func(c *config.Config) {
		layout(c)
		u, err := url.Parse(c.Combinator.RDB.DSN.Reveal())
		require.NoError(t, err)
		name, shared := c.Combinator.RDB.Names.Role[:10]+"inner", database.Quote(u.Path[1:])
		admin := testdatabase.At(t, c.Combinator.RDB.DSN.Reveal())
		_, err = admin.Exec(`CREATE ROLE ` + name + ` WITH LOGIN CREATEDB CREATEROLE PASSWORD 'secret'`)
		require.NoError(t, err)
		_, err = admin.Exec(`ALTER DATABASE ` + shared + ` OWNER TO ` + name)
		require.NoError(t, err)
		u.User = url.UserPassword(name, "secret")
		c.Combinator.RDB.DSN = config.Secret(u.String())
	}
}

// setupUnprivileged is setup with such a role.
func setupUnprivileged(t *testing.T, layout func(*config.Config)) *bundle {
	t.Helper()
	var tenants string
	b := setup(t, func(c *config.Config) { tenants = c.Combinator.RDB.DSN.Reveal() }, unprivileged(t, layout))
	b.tenants = tenants
	t.Cleanup(func() { // the role can be dropped after this
		_, err := b.admin("").Exec(`REASSIGN OWNED BY ` + b.head + `inner TO CURRENT_USER; DROP OWNED BY ` + b.head + `inner`)
		require.NoError(t, err)
	})
	return b
}

func TestUnprivilegedAdminTerminatesUserSessions(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "pg_terminate_backend")
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupUnprivileged(t, layout)
			b.user("u1", "sk_u1")
			b.addSchema("u1", "r1")
			held := b.login("u1", "sk_u1")
			b.lock(held, "u1", "r1")
			_, err := b.login("u1", "sk_u1").Exec(`SELECT lo_create(0) FROM generate_series(1, 150)`)
			require.NoError(t, err, "a session without locks stays open")
			b.remove("r1")
			require.NoError(t, b.run(jobs.DeleteRDBType, ref("u1", "r1")))
			require.False(t, b.schemaExists("u1", "r1"))
			require.False(t, b.databaseExists())
			require.False(t, b.roleExists())
			require.Len(t, b.queue.accepted, 1)

			b.user("u2", "sk_u2")
			require.NoError(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": "u2"}))
			require.NoError(t, b.login("u2", "sk_u2").Ping())
			_, err = b.db.Exec(`DELETE FROM users WHERE uid = 'u2'`)
			require.NoError(t, err)
			require.NoError(t, b.run(jobs.RemoveTenantType, map[string]string{"user_uid": "u2"}))
			require.Empty(t, b.listTenants())
		})
	}
}

func TestPodsAreNotifiedWhileDatabaseIsInUse(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "pg_terminate_backend")
	b := setupUnprivileged(t, ownDatabases)
	b.user("u1", "sk_u1")
	b.addSchema("u1", "r1")
	b.remove("r1")
	operator := b.connect(b.database("u1"), nil)
	require.NoError(t, operator.Ping())
	require.NoError(t, b.execute(job.Task{ID: 1, Type: jobs.DeleteRDBType, Attempt: 1}, ref("u1", "r1")))
	require.False(t, b.schemaExists("u1", "r1"))
	require.Len(t, b.queue.accepted, 1)
	next := b.queue.takeRemovals()
	require.Len(t, next, 1)
	var waiting *job.Error
	require.ErrorAs(t, b.run(next[0].kind, next[0].payload), &waiting)
	require.Equal(t, job.Snooze, waiting.Kind, waiting)
	require.NoError(t, operator.Ping(), "a superuser's session is not terminated")
	require.NoError(t, operator.Close())
	require.Eventually(t, func() bool { return b.run(next[0].kind, next[0].payload) == nil }, timeout, 10*time.Millisecond)
	require.False(t, b.databaseExists())
	require.False(t, b.roleExists())
	require.Len(t, b.queue.accepted, 1, "the pods are notified once")
}
