package combinator_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/txnkv"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
)

// put writes keys as a Combinator pod does.
func put(t testing.TB, client *txnkv.Client, keys ...string) {
	t.Helper()
	tx, err := client.Begin()
	require.NoError(t, err)
	for _, key := range keys {
		require.NoError(t, tx.Set([]byte(key), []byte("value")))
	}
	require.NoError(t, tx.Commit(t.Context()))
}

// keys returns what TiKV has under a prefix.
func keys(t testing.TB, client *txnkv.Client, prefix string) []string {
	t.Helper()
	tx, err := client.Begin()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	end := []byte(prefix)
	end[len(end)-1]++
	it, err := tx.Iter([]byte(prefix), end)
	require.NoError(t, err)
	defer it.Close()
	var all []string
	for it.Valid() {
		all = append(all, string(it.Key()))
		require.NoError(t, it.Next())
	}
	return all
}

// namespaceExists reports whether a namespace of u1 and this platform is recorded and not deleted.
func (b *bundle) namespaceExists(rid string) bool {
	b.t.Helper()
	prefix, err := b.kv.Find(context.Background(), engine.Resource{UserUID: "u1", ResourceID: rid})
	require.NoError(b.t, err)
	return prefix != ""
}

func TestNamespaceIsCreatedOnceAndDeletedWithKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.client()
	for _, rid := range []string{"a", "ab", "b"} {
		b.resource("u1", rid, "kv")
		for range 2 {
			require.NoError(t, b.run(jobs.CreateKVType, ref("u1", rid)))
		}
		require.Equal(t, "active", b.status(rid))
		for i := range 300 {
			put(t, client, fmt.Sprintf("%s%03d", b.prefix(rid), i))
		}
	}
	b.remove("a")
	for range 2 {
		require.NoError(t, b.run(jobs.DeleteKVType, map[string]string{"UserUID": "u1", "ResourceID": "a"}))
	}
	require.Empty(t, keys(t, client, b.prefix("a")))
	require.Len(t, keys(t, client, b.prefix("ab")), 300, "keys of a resource whose id has the same prefix are kept")
	require.Len(t, keys(t, client, b.prefix("b")), 300)
	require.Len(t, b.queue.accepted, 2)
}

func TestDeletedPrefixIsSweptBeforeReuse(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *config.Config) { c.Combinator.KV.SweepAfter = 2 * time.Second })
	client := b.client()
	b.resource("u1", "a", "kv")
	require.NoError(t, b.run(jobs.CreateKVType, ref("u1", "a")))
	late, err := client.Begin()
	require.NoError(t, err)
	require.NoError(t, late.Set([]byte(b.prefix("a")+"late"), []byte("value")))
	require.NoError(t, b.run(jobs.DeleteKVType, ref("u1", "a")))
	require.NoError(t, late.Commit(t.Context()), "a transaction that began before the deletion")
	require.Len(t, keys(t, client, b.prefix("a")), 1)

	var waiting *job.Error
	require.ErrorAs(t, b.run(jobs.CreateKVType, ref("u1", "a")), &waiting)
	require.Equal(t, job.Snooze, waiting.Kind, "the prefix cannot be reused while keys may be left")
	require.NoError(t, b.run(jobs.SweepKVType, map[string]string{}))
	require.Empty(t, keys(t, client, b.prefix("a")), "late keys are swept")
	require.ErrorAs(t, b.run(jobs.CreateKVType, ref("u1", "a")), &waiting, "a late key restarts the waiting time")
	require.Eventually(t, func() bool {
		require.NoError(t, b.run(jobs.SweepKVType, map[string]string{}))
		return b.run(jobs.CreateKVType, ref("u1", "a")) == nil
	}, timeout, 100*time.Millisecond)
	require.True(t, b.namespaceExists("a"))
}

func TestEmbeddedStorePersistsData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	embedded := func(c *config.Config) { c.Combinator.KV.PD, c.Combinator.KV.Embedded = nil, dir+"/kv" }
	b := setup(t, embedded)
	b.resource("u1", "a", "kv")
	require.NoError(t, b.run(jobs.CreateKVType, ref("u1", "a")))
	require.NoError(t, b.kv.Stop(t.Context()))
	again := setup(t, embedded, func(c *config.Config) {
		c.Platform, c.Combinator.KV.Prefix = b.config.Platform, b.config.Combinator.KV.Prefix
	})
	require.True(t, again.namespaceExists("a"))
	require.NoError(t, again.run(jobs.DeleteKVType, ref("u1", "a")))
	require.False(t, again.namespaceExists("a"))
}

func TestDeleteRemovesKeysWithoutRecord(t *testing.T) {
	t.Parallel()
	b := setup(t)
	client := b.client()
	put(t, client, b.prefix("a")+"key", b.prefix("ab")+"key")
	require.NoError(t, b.run(jobs.DeleteKVType, ref("u1", "a")))
	require.Empty(t, keys(t, client, b.prefix("a")))
	require.Len(t, keys(t, client, b.prefix("ab")), 1)
}
