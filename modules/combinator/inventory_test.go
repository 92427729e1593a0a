package combinator_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	auditinventory "app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/inventory"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
)

// fakeQueue implements job.Queue for the tests and records what is queued.
type fakeQueue struct {
	job.Queue
	mu       sync.Mutex
	accepted []jobs.NotifyPods
	enqueued []string
	queued   []queued
	removals []queued
	fail     error
}

func (q *fakeQueue) Accept(_ context.Context, jobType string, payload job.Payload) (int64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail != nil {
		return 0, q.fail
	}
	if notice, ok := payload.(jobs.NotifyPods); ok {
		q.accepted = append(q.accepted, notice)
	}
	if jobType == jobs.RemoveTenantType {
		q.removals = append(q.removals, queued{jobType, payload})
	}
	return int64(len(q.accepted)), nil
}

// takeRemovals returns the queued tasks about users, and forgets them.
func (q *fakeQueue) takeRemovals() []queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.removals
	q.removals = nil
	return all
}

// Enqueue implements job.Queue.
func (q *fakeQueue) Enqueue(_ context.Context, _ job.Tx, jobType string, payload job.Payload) (int64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.enqueued = append(q.enqueued, jobType+" "+payload.OrderingKey())
	q.queued = append(q.queued, queued{jobType, payload})
	return 1, payload.Validate()
}

// Notify implements job.Queue.
func (q *fakeQueue) Notify() {}

func TestInventoriesListActualAndDesired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	for kind, create := range map[string]string{"rdb": jobs.CreateRDBType, "kv": jobs.CreateKVType} {
		b.resource("u1", kind+"a", kind)
		b.resource("u1", kind+"-orphan", kind)
		require.NoError(t, b.run(create, ref("u1", kind+"a")))
		require.NoError(t, b.run(create, ref("u1", kind+"-orphan")))
		b.remove(kind + "-orphan")
		b.resource("u1", kind+"lost", kind)
	}
	_, err := b.admin("").Exec(`CREATE SCHEMA user_other_one`)
	require.NoError(t, err)
	for _, i := range inventory.New(b.store, b.queue, b.rdb, b.kv) {
		if i.Kind() == "tenant" {
			continue // see tenants_test.go
		}
		objects := map[string]auditinventory.Object{}
		require.NoError(t, i.ListActual(t.Context(), func(page []auditinventory.Object) error {
			for _, o := range page {
				o.Parts = append(objects[o.ID].Parts, o.Parts...)
				objects[o.ID] = o
			}
			return nil
		}))
		require.Len(t, objects, 2, "a schema that Inner has not made is not listed")
		desired, err := i.ListDesired(t.Context(), 0, 10)
		require.NoError(t, err)
		require.Len(t, desired, 2)
		require.Equal(t, objects[i.Kind()+"a"].Name, desired[0].Name)
		require.Equal(t, objects[i.Kind()+"a"].Parts, desired[0].Needs)
		require.True(t, desired[1].Loading)
		loader, ok := i.(auditinventory.Loader)
		require.True(t, ok)
		loading, err := loader.Loading(t.Context(), 0, 10)
		require.NoError(t, err)
		require.Equal(t, desired[1:], loading)
		require.NoError(t, i.Repair(t.Context(), desired[1], auditinventory.Drift{Stuck: true}))
		require.ErrorIs(t, i.Delete(t.Context(), objects[i.Kind()+"a"]), auditinventory.ErrReferenced)
		require.NoError(t, i.Delete(t.Context(), objects[i.Kind()+"-orphan"]))
		require.Equal(t, []string{
			"combinator.create_" + i.Kind() + " resource/u1/" + i.Kind() + "lost",
			"combinator.delete_" + i.Kind() + " resource/u1/" + i.Kind() + "-orphan",
		}, b.queue.enqueued)
		b.queue.enqueued = nil
	}
}

func TestOrphanWithARestoredRowIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	for kind, create := range map[string]string{"rdb": jobs.CreateRDBType, "kv": jobs.CreateKVType} {
		b.resource("u1", kind+"a", kind)
		require.NoError(t, b.run(create, ref("u1", kind+"a")))
		b.remove(kind + "a")
	}
	for _, i := range inventory.New(b.store, b.queue, b.rdb, b.kv) {
		if i.Kind() == "tenant" {
			continue
		}
		require.NoError(t, i.Delete(t.Context(), auditinventory.Object{ID: i.Kind() + "a", Owner: "u1"}))
		b.resource("u1", i.Kind()+"a", i.Kind()) // restored before the task runs
		_, err := b.db.Exec(`UPDATE combinator_resources SET status = 'active'`)
		require.NoError(t, err)
		require.Len(t, b.queue.queued, 1)
		task := b.queue.queued[0]
		b.queue.queued = nil
		var end *job.Error
		require.ErrorAs(t, b.run(task.kind, task.payload), &end)
		require.Equal(t, job.Terminal, end.Kind)
		require.Contains(t, end.Text, "has a row again")
		require.Equal(t, "active", b.status(i.Kind()+"a"))
		actual := 0
		require.NoError(t, i.ListActual(t.Context(), func(page []auditinventory.Object) error {
			actual += len(page)
			return nil
		}))
		require.Positive(t, actual, "it is not deleted")
	}
}

func TestReferencesOfManyResourcesAreReadAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	b.resource("u1", "r1", "kv")
	many := make([]engine.Resource, 70_000) // PostgreSQL takes at most 65,535 parameters
	for i := range many {
		many[i] = engine.Resource{UserUID: "u1", ResourceID: fmt.Sprintf("r%d", i)}
	}
	referenced, err := b.store.ReferencedResources(t.Context(), "kv", many)
	require.NoError(t, err)
	require.Equal(t, map[engine.Resource]bool{{UserUID: "u1", ResourceID: "r1"}: true}, referenced)
}

func TestNamespacesOfOtherPlatformAreNotListed(t *testing.T) {
	t.Parallel()
	ours, others := setup(t), setup(t)
	for _, b := range []*bundle{ours, others} {
		b.user("u1", "sk_one")
	}
	ours.resource("u1", "shared1", "kv")
	others.resource("u1", "shared2", "kv")
	require.NoError(t, ours.run(jobs.CreateKVType, ref("u1", "shared1")))
	require.NoError(t, others.run(jobs.CreateKVType, ref("u1", "shared2")))
	var listed []string
	require.NoError(t, ours.kv.List(t.Context(), func(page []engine.Found) error {
		for _, r := range page {
			listed = append(listed, r.ResourceID)
		}
		return nil
	}))
	require.Equal(t, []string{"shared1"}, listed)
}
