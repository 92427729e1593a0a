package combinator_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/test/testdatabase"
)

// killedJob is a job that a test kills at each of its statements in turn, with what precedes it and what is checked after
// it.
type killedJob struct {
	kind    string
	payload func(b *bundle) map[string]string
	prepare func(t *testing.T, b *bundle)
	check   func(t *testing.T, b *bundle)
}

// userPayload returns the payload about u1.
func userPayload(*bundle) map[string]string { return map[string]string{"user_uid": "u1"} }

func emptyPayload(*bundle) map[string]string { return map[string]string{} }

// removeUser deletes u1 and what is left of u1.
func removeUser(t *testing.T, b *bundle) {
	t.Helper()
	b.faults.off()
	_, err := b.db.Exec(`DELETE FROM users WHERE uid = 'u1'`)
	require.NoError(t, err)
	require.NoError(t, b.run(jobs.RemoveTenantType, userPayload(b)))
}

func requireLogin(t *testing.T, b *bundle, key string) {
	t.Helper()
	tenant := b.login("u1", key)
	_, err := tenant.Exec(`SELECT 1`)
	require.NoError(t, err)
	require.NoError(t, tenant.Close())
}

// killedUserJobs are the jobs about a user; those about schemas are in TestSchemaJobsSurviveKillAtEveryStatement.
var killedUserJobs = []killedJob{
	{jobs.RegisterUserType, userPayload, func(_ *testing.T, b *bundle) { b.user("u1", "sk_one") }, func(t *testing.T, b *bundle) {
		t.Helper()
		requireLogin(t, b, "sk_one")
		removeUser(t, b)
	}},
	{jobs.RemoveTenantType, userPayload, func(t *testing.T, b *bundle) {
		t.Helper()
		b.user("u1", "sk_one")
		require.NoError(t, b.run(jobs.RegisterUserType, userPayload(b)))
		_, err := b.db.Exec(`DELETE FROM users WHERE uid = 'u1'`)
		require.NoError(t, err)
	}, func(t *testing.T, b *bundle) {
		t.Helper()
		require.False(t, b.roleExists())
		require.False(t, b.databaseExists())
		require.Empty(t, column(t, b.db.DB, `SELECT user_uid FROM combinator_tenants WHERE user_uid = 'u1'`))
	}},
	{jobs.SyncPasswordsType, emptyPayload, func(t *testing.T, b *bundle) {
		t.Helper()
		b.user("u1", "sk_old")
		require.NoError(t, b.run(jobs.RegisterUserType, userPayload(b)))
		_, err := b.db.Exec(`UPDATE users SET secret_key = 'sk_new' WHERE uid = 'u1'`)
		require.NoError(t, err)
	}, func(t *testing.T, b *bundle) {
		t.Helper()
		requireLogin(t, b, "sk_new")
		removeUser(t, b)
	}},
	{jobs.MeasureRDBType, emptyPayload, func(t *testing.T, b *bundle) {
		t.Helper()
		_, err := b.db.Exec(`DELETE FROM combinator_sizes`)
		require.NoError(t, err)
	}, func(t *testing.T, b *bundle) {
		t.Helper()
		require.Equal(t, []string{"u2/r"}, column(t, b.db.DB, `SELECT user_uid || '/' || resource_id FROM combinator_sizes`))
	}},
}

func TestUserJobsSurviveKillAtEveryStatement(t *testing.T) {
	t.Parallel()
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			checkNeighbour := b.addNeighbour()
			for _, k := range killedUserJobs {
				if k.kind == jobs.MeasureRDBType && testdatabase.IsCockroachDB(t) {
					continue // see TestSizesAreMeasuredAndStored
				}
				for _, after := range []bool{false, true} {
					steps := b.retryAtEachStatement(after, func() { k.prepare(t, b) }, func() error { return b.run(k.kind, k.payload(b)) },
						func() { k.check(t, b) })
					require.Greater(t, steps, 3, k.kind)
				}
			}
			checkNeighbour()
		})
	}
}

// TestNamespaceJobsSurviveKillAtEveryStatement has faults in the database; those in the store are in
// TestNamespaceSurvivesKillAtEveryStep.
func TestNamespaceJobsSurviveKillAtEveryStatement(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.client()
	b.pods.running = []kube.Pod{{Name: "one"}}
	put(t, client, b.prefix("n")+"neighbour")
	n := 0 // a prefix cannot be reused at once: each namespace is a new one
	rid := func() string { return fmt.Sprintf("n%d", n) }
	there := func() bool { return b.namespaceExists(rid()) }
	for _, after := range []bool{false, true} {
		steps := b.retryAtEachStatement(after, func() {
			n++
			b.resource("u1", rid(), "kv")
		}, func() error { return b.run(jobs.CreateKVType, ref("u1", rid())) }, func() {
			require.Equal(t, "active", b.status(rid()))
			require.True(t, there())
		})
		require.Greater(t, steps, 2)
		steps = b.retryAtEachStatement(after, func() {
			n++
			b.resource("u1", rid(), "kv")
			require.NoError(t, b.run(jobs.CreateKVType, ref("u1", rid())))
			put(t, client, b.prefix(rid())+"key")
			b.remove(rid())
		}, func() error { return b.run(jobs.DeleteKVType, ref("u1", rid())) }, func() {
			require.False(t, there())
			require.Empty(t, keys(t, client, b.prefix(rid())))
			require.Equal(t, rid(), b.queue.accepted[len(b.queue.accepted)-1].ResourceID, "the pods are notified")
		})
		require.Greater(t, steps, 1)
		steps = b.retryAtEachStatement(after, func() { b.pods.notified = nil }, func() error {
			return b.run(jobs.NotifyPodsType, map[string]string{"user_uid": "u1", "resource_id": rid(), "resource_type": "kv"})
		}, func() { require.Contains(t, b.pods.notified, "one kv u1/"+rid()) })
		require.Greater(t, steps, 1)
	}
	require.Len(t, keys(t, client, b.prefix("n")), 1, "the neighbour is unchanged")
}
