package tasks_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// listed returns the ids of the tasks that a filter selects.
func (b *fixture) listed(t *testing.T, f job.Filter) []int64 {
	t.Helper()
	f.Limit = job.MaxPage
	page, err := b.admin().List(t.Context(), f)
	require.NoError(t, err)
	ids := []int64{}
	for _, task := range page.Tasks {
		ids = append(ids, task.ID)
	}
	return ids
}

func TestBulkCancelKeepsToTheSelectedStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.accept(t, "a", "first"), b.accept(t, "b", "second")
	b.job.onDiscarded = func(echo) error { // meanwhile a processor parks the second task
		b.setStatus(t, second, store.Waiting)
		return nil
	}
	changes, err := b.admin().Cancel(t.Context(), job.Selection{Filter: job.Filter{Status: "pending"}})
	require.NoError(t, err)
	require.Equal(t, []job.Change{
		{ID: first, Changed: true, Status: "cancelled", Text: "was pending, is cancelled now"},
		{ID: second, Status: "waiting", Text: "not changed: it is waiting now, which was not selected"},
	}, changes)
	named, err := b.admin().Cancel(t.Context(), job.Selection{IDs: []int64{second}})
	require.NoError(t, err)
	require.True(t, named[0].Changed)
}

func TestBulkRetryReturnsDiscardedTasksOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	discarded, cancelled := b.accept(t, "a", "x"), b.accept(t, "b", "x")
	b.setStatus(t, discarded, store.Failed)
	b.setStatus(t, cancelled, store.Cancelled)
	changes, err := b.admin().Retry(t.Context(), job.Selection{Filter: job.Filter{Type: "test.echo"}})
	require.NoError(t, err)
	require.Len(t, changes, 1)
	require.Equal(t, discarded, changes[0].ID)
	changes, err = b.admin().Retry(t.Context(), job.Selection{Filter: job.Filter{Status: "cancelled"}})
	require.NoError(t, err)
	require.True(t, changes[0].Changed)
}

func TestCancelWithoutTheKeyOfThePayloadIsRefused(t *testing.T) {
	t.Parallel()
	b, _ := setupVault(t)
	b.withKeys(t, "a")
	id, err := b.queue.AcceptInfo(t.Context(), "test.vault", []byte(`{"key":"k","value":"hidden"}`), "")
	require.NoError(t, err)
	b.withKeys(t, "b")
	for _, dryRun := range []bool{true, false} {
		changes, err := b.admin().Cancel(t.Context(), job.Selection{IDs: []int64{id}, DryRun: dryRun})
		require.NoError(t, err)
		require.False(t, changes[0].Changed)
		require.Contains(t, changes[0].Text, "tasks.encryptionKeys")
	}
	view, err := b.store.View(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, store.Pending, view.Status)
	b.withKeys(t, "ba")
	changes, err := b.admin().Cancel(t.Context(), job.Selection{IDs: []int64{id}})
	require.NoError(t, err)
	require.True(t, changes[0].Changed)
}

func TestSearchIsLimitedToRecentTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Empty(t, b.listed(t, job.Filter{Key: "a", Among: 2}))
	first, second, third := b.accept(t, "a", "x"), b.accept(t, "a", "x"), b.accept(t, "b", "x")
	require.Equal(t, []int64{second, first}, b.listed(t, job.Filter{Key: "a", Among: 3}))
	require.Equal(t, []int64{second}, b.listed(t, job.Filter{Key: "a", Among: 2}))
	require.Equal(t, []int64{third}, b.listed(t, job.Filter{Among: 1}))
	_, err := b.db.ExecContext(t.Context(), `UPDATE console_tasks SET id = id * 1000000000000`) // as by unique_rowid()
	require.NoError(t, err)
	require.Len(t, b.listed(t, job.Filter{Key: "a", Among: 2}), 1)
	require.Len(t, b.listed(t, job.Filter{Key: "a", Among: 3}), 2)
}

func TestAgesOfFiltersAreByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	b, server := setupSteppedClock(t)
	require.NoError(t, server.StepClock(2*time.Hour))
	old, fresh := b.accept(t, "a", "x"), b.accept(t, "b", "x")
	_, err := b.db.ExecContext(t.Context(),
		`UPDATE console_tasks SET created_at = created_at - INTERVAL '1 hour' WHERE id = $1`, old)
	require.NoError(t, err)
	hour, minute := job.Moment{Age: 61 * time.Minute}, job.Moment{Age: 59 * time.Minute}
	require.Equal(t, []int64{fresh, old}, b.listed(t, job.Filter{Since: hour}))
	require.Equal(t, []int64{fresh}, b.listed(t, job.Filter{Since: minute}))
	require.Equal(t, []int64{old}, b.listed(t, job.Filter{Since: hour, Until: minute}))
	for _, f := range []job.Filter{
		{Limit: 1, Since: minute, Until: hour},
		{Limit: 1, Since: job.Moment{At: time.Unix(2, 0)}, Until: job.Moment{At: time.Unix(1, 0)}},
	} {
		require.ErrorContains(t, f.Validate(), "until:")
	}
}
