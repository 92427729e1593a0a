package workers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
)

// listActual returns what the inventory lists, sorted: name and parts.
func (b *bundle) listActual(t *testing.T) (all []string) {
	t.Helper()
	require.NoError(t, b.inventory.ListActual(t.Context(), func(page []inventory.Object) error {
		for _, o := range page {
			all = append(all, fmt.Sprintf("%s %s %s %s %v", o.Name, o.Owner, o.ID, o.Key, o.Parts))
		}
		return nil
	}))
	slices.Sort(all)
	return all
}

func TestInventoryListsOnlyManagedObjects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Empty(t, b.listActual(t))
	b.exec(t, `UPDATE workers SET secrets_json = '["A"]'`)
	require.NoError(t, b.syncSecret(t, 1, `{"A":"1"}`))
	v := b.version(t, "app:1")
	requireKind(t, job.Parked, b.deploy(t, 2, v))
	for _, unmanaged := range []*corev1.Secret{
		{ObjectMeta: metav1.ObjectMeta{Name: "registry"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "w-a-b-secret",
			Labels: map[string]string{workerapp.WorkerLabel: "x", workerapp.OwnerLabel: "y"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "w-w1-u1", Labels: workerapp.Labels("w1", "u1")}},
	} {
		_, err := b.clients.Typed.CoreV1().Secrets(b.namespace).Create(t.Context(), unmanaged, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	other := workerapp.ToApply(b.namespace, workerapp.Spec{WorkerID: "other", OwnerID: "u1", Image: "x", Port: 1}.WithDefaults(),
		workerapp.Origin{Version: 1, Task: 1})
	other.SetName("made-by-hand")
	_, err := b.clients.Apply(t.Context(), workerapp.Resource(), other)
	require.NoError(t, err)
	require.Equal(t, []string{"w-w1-u1 u1 w1 worker/u1/w1 [Secret]", "w-w1-u1 u1 w1 worker/u1/w1 [WorkerApp]"}, b.listActual(t))
	broken := context.Canceled
	require.ErrorIs(t, b.inventory.ListActual(t.Context(), func([]inventory.Object) error { return broken }), broken)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, b.inventory.ListActual(ctx, func([]inventory.Object) error { return nil }), "an incomplete list is an error")
}

func TestInventoryListsWorkersWithLongestIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long := strings.Repeat("w", 64)
	n := workerapp.Name(long, "u1")
	b.create(t, long, workerObjects(n, b.namespace, "example.test"))
	all := b.listActual(t)
	require.NotEmpty(t, all)
	for _, one := range all {
		require.Contains(t, one, fmt.Sprintf("%s u1 %s worker/u1/%s [", n, long, long))
	}
}

func TestLoadingListsOnlyLoadingRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO workers (wid, user_uid, worker_name, status) VALUES ('w2', 'u1', '', 'error'), ('w3', 'u1', '', 'loading'), ('w4', 'u1', '', 'active')`)
	loading := func(after int64, limit int) (ids []string) {
		loader, ok := b.inventory.(inventory.Loader)
		require.True(t, ok)
		page, err := loader.Loading(t.Context(), after, limit)
		require.NoError(t, err)
		for _, w := range page {
			require.True(t, w.Loading)
			ids = append(ids, w.ID)
		}
		return ids
	}
	require.Equal(t, []string{"w3"}, loading(0, 10))
	b.version(t, "app:1")
	require.Equal(t, []string{"w1", "w3"}, loading(0, 10), "a version of the first worker is loading")
	require.Equal(t, []string{"w1"}, loading(0, 1))
	require.Equal(t, []string{"w3"}, loading(int64(b.row), 10))
}

func TestListDesiredPagesMayBeLarge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const rows = 70_000 // PostgreSQL takes at most 65,535 parameters
	b.exec(t, fmt.Sprintf(`WITH w AS (
		INSERT INTO workers (wid, user_uid, worker_name, status) SELECT 'many' || i, 'u1', '', 'unloaded'
		FROM generate_series(1, %d) AS i RETURNING id)
		INSERT INTO worker_deploy_versions (worker_id, image, port, status) SELECT id, 'app', 8080, 'loading' FROM w`, rows))
	page, err := b.inventory.ListDesired(t.Context(), int64(b.row), 100_000)
	require.NoError(t, err)
	require.Len(t, page, rows)
	for _, desired := range page {
		require.True(t, desired.Loading, "its version")
	}
}

func TestListDesiredPagesByRowID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.version(t, "app:1")
	b.exec(t, `UPDATE worker_deploy_versions SET created_at = '2030-01-02 03:04:05'`)
	b.exec(t, `INSERT INTO workers (wid, user_uid, worker_name, status) VALUES ('w2', 'u1', '', 'loading'), ('w3', 'u2', '', 'error')`)
	page, err := b.inventory.ListDesired(t.Context(), 0, 2)
	require.NoError(t, err)
	require.Len(t, page, 2)
	require.Equal(t, inventory.Desired{Row: int64(b.row), Name: "w-w1-u1", Owner: "u1", ID: "w1", Key: "worker/u1/w1",
		Loading: true, Since: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}, page[0], "a version of it is loading")
	require.True(t, page[1].Loading)
	page, err = b.inventory.ListDesired(t.Context(), page[1].Row, 2)
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Equal(t, "w-w3-u2", page[0].Name)
	require.False(t, page[0].Loading)
	page, err = b.inventory.ListDesired(t.Context(), page[0].Row, 2)
	require.NoError(t, err)
	require.Empty(t, page)
	requireKind(t, job.Parked, b.deploy(t, 1, v))
	b.record(t, v, 1, "")
	page, err = b.inventory.ListDesired(t.Context(), 0, 1)
	require.NoError(t, err)
	require.Equal(t, []string{"WorkerApp"}, page[0].Needs)
	require.False(t, page[0].Loading)
}

func TestRepairQueuesTheMatchingJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	row := inventory.Desired{ID: "w1", Owner: "u1"}
	stuck, missing := inventory.Drift{Stuck: true}, inventory.Drift{Missing: []string{"WorkerApp"}}
	repair := func(failure inventory.Drift) []string {
		b.queue.accepted = nil
		require.NoError(t, b.inventory.Repair(t.Context(), row, failure))
		return b.queue.accepted
	}
	require.Empty(t, repair(stuck), "the row needs no repair")
	require.Empty(t, repair(missing), "never deployed")
	b.exec(t, `UPDATE workers SET status = 'loading'`)
	require.Equal(t, []string{`worker.sync_env {"worker_id":"w1","user_uid":"u1","data":{}}`}, repair(stuck))
	b.version(t, "app:1")
	newest := b.version(t, "app:2")
	require.Equal(t, []string{fmt.Sprintf(`worker.deploy_worker {"worker_id":"w1","user_uid":"u1","version_id":%d}`, newest)},
		repair(stuck))
	requireKind(t, job.Parked, b.deploy(t, 1, newest))
	b.record(t, newest, 1, "")
	require.Equal(t, []string{`worker.restore_worker {"worker_id":"w1","user_uid":"u1"}`}, repair(missing))
	row.Owner = "u2"
	require.Empty(t, repair(missing), "the row was deleted")
}

func TestDeleteOfReferencedWorkerIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.ErrorIs(t, b.inventory.Delete(t.Context(), inventory.Object{ID: "w1", Owner: "u1"}), inventory.ErrReferenced)
	require.Empty(t, b.queue.accepted)
	require.NoError(t, b.inventory.Delete(t.Context(), inventory.Object{ID: "w2", Owner: "u1"}))
	require.Equal(t, []string{`worker.delete_worker_cr {"worker_id":"w2","user_uid":"u1","orphan":true}`}, b.queue.accepted)
}
