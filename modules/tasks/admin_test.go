package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/admin"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

func (b *fixture) admin() *admin.Admin { return admin.New(b.registry, b.store) }

// setStatus gives a pending task a state in which no processor changes it.
func (b *fixture) setStatus(t *testing.T, id int64, status store.Status) {
	t.Helper()
	_, err := b.db.ExecContext(t.Context(), `UPDATE console_tasks SET task_status = $2, attempts = 2, last_error = 'why',
		claimed_by = CASE WHEN $2 = 'processing' THEN 'p' ELSE '' END WHERE id = $1`, id, string(status))
	require.NoError(t, err)
}

func TestStatusesMatchTheStore(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{
		string(store.Pending), string(store.Processing), string(store.Waiting), string(store.Finished),
		string(store.Failed), string(store.Superseded), string(store.Cancelled),
	}, job.Statuses())
}

func TestListIsPagedNewestFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var want, got []int64
	for i := range 7 {
		want = append([]int64{b.accept(t, fmt.Sprint("k", i), "x")}, want...)
	}
	f := job.Filter{Limit: 3}
	for pages := 1; ; pages++ {
		page, err := b.admin().List(t.Context(), f)
		require.NoError(t, err)
		for _, task := range page.Tasks {
			got = append(got, task.ID)
		}
		if f.Before = page.Next; f.Before == 0 {
			require.Equal(t, 3, pages)
			break
		}
	}
	require.Equal(t, want, got)
	page, err := b.admin().List(t.Context(), job.Filter{Limit: 7})
	require.NoError(t, err)
	require.Zero(t, page.Next, "a full last page has no next one")
}

func TestListFiltersByStatusTypeAndKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.accept(t, "a", "x"), b.accept(t, "b", "x")
	b.setStatus(t, second, store.Failed)
	for _, c := range []struct {
		filter job.Filter
		want   []int64
	}{
		{job.Filter{Status: "error"}, []int64{second}},
		{job.Filter{Status: "pending"}, []int64{first}},
		{job.Filter{Status: "waiting"}, nil},
		{job.Filter{Type: "test.echo"}, []int64{second, first}},
		{job.Filter{Type: "EchoJob"}, []int64{second, first}},
		{job.Filter{Type: "other"}, nil},
		{job.Filter{Key: "a"}, []int64{first}},
		{job.Filter{Key: "a", Status: "error"}, nil},
		{job.Filter{Before: second}, []int64{first}},
	} {
		c.filter.Limit = 10
		page, err := b.admin().List(t.Context(), c.filter)
		require.NoError(t, err)
		var got []int64
		for _, task := range page.Tasks {
			got = append(got, task.ID)
		}
		require.Equal(t, c.want, got, "%+v", c.filter)
	}
	for want, f := range map[string]job.Filter{
		"status": {Limit: 1, Status: "done"}, "limit": {}, "before": {Limit: 1, Before: -1},
	} {
		_, err := b.admin().List(t.Context(), f)
		require.ErrorContains(t, err, want+":")
	}
}

func TestShowIncludesAttemptErrors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.job.execute = func(context.Context, job.Task, echo) error { return job.NewRetry("no luck", errors.New("sk_secret")) }
	b.start(t)
	id := b.accept(t, "k", "shown")
	b.awaitStatus(t, id, store.Failed)
	d, err := b.admin().Show(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "error", d.Status)
	require.Equal(t, "k", d.OrderingKey)
	require.EqualValues(t, 3, d.ClaimNumber)
	require.NotNil(t, d.FinishedAt)
	require.JSONEq(t, `{"key":"k","text":"shown"}`, string(d.Info))
	require.Len(t, d.Errors, 3)
	require.Equal(t, 3, d.Errors[2].Attempt)
	require.Equal(t, "no luck: sk_***", d.Errors[2].Error)
	require.NotEmpty(t, d.Errors[2].At)
	_, err = b.admin().Show(t.Context(), id+1)
	require.ErrorContains(t, err, "no such task")
}

func TestShowHandlesMalformedRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.accept(t, "k", "text")
	_, err := b.db.ExecContext(t.Context(), `UPDATE console_tasks SET attempt_errors = $2 WHERE id = $1`,
		id, "not an object\n{\"attempt\":2,\"at\":\"now\",\"error\":\"e\"}\n")
	require.NoError(t, err)
	d, err := b.admin().Show(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []job.AttemptError{{Error: "not an object"}, {Attempt: 2, At: "now", Error: "e"}}, d.Errors)
	_, err = b.db.ExecContext(t.Context(), `UPDATE console_tasks SET task_type = 'other', task_info = 'no "JSON' WHERE id = $1`, id)
	require.NoError(t, err)
	d, err = b.admin().Show(t.Context(), id)
	require.NoError(t, err)
	require.JSONEq(t, `"no \"JSON"`, string(d.Info))
}

func TestShowIncludesTheClaimer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.accept(t, "k", "x")
	require.NoError(t, b.heartbeats.Register(t.Context(), "p", "host-1"))
	_, err := b.store.ClaimTasks(t.Context(), "p", id)
	require.NoError(t, err)
	d, err := b.admin().Show(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, []string{"p", "host-1"}, []string{d.ClaimedBy, d.ClaimedOn})
}

func TestRetryResetsAttempts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var broken atomic.Bool
	broken.Store(true)
	b.job.execute = func(context.Context, job.Task, echo) error {
		if broken.Load() {
			return errors.New("broken")
		}
		return nil
	}
	b.start(t)
	id := b.accept(t, "k", "x")
	require.Equal(t, 3, b.awaitStatus(t, id, store.Failed).Attempts)
	broken.Store(false)
	changes, err := b.admin().Retry(t.Context(), job.Selection{IDs: []int64{id, id + 1}})
	require.NoError(t, err)
	require.Equal(t, []job.Change{
		{ID: id, Changed: true, Status: "pending", Text: "was error, is pending now"}, {ID: id + 1, Text: "no such task"},
	}, changes)
	require.Equal(t, 1, b.awaitStatus(t, id, store.Finished).Attempts, "counted from the retry")
}

func TestRetryAndCancelDependOnStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, c := range []struct {
		status            store.Status
		retried, canceled bool
	}{
		{store.Pending, false, true}, {store.Waiting, false, true}, {store.Processing, false, false},
		{store.Finished, false, false}, {store.Failed, true, false}, {store.Cancelled, true, false}, {store.Superseded, true, false},
	} {
		toRetry, toCancel := b.accept(t, fmt.Sprint("r", i), "x"), b.accept(t, fmt.Sprint("c", i), "x")
		b.setStatus(t, toRetry, c.status)
		b.setStatus(t, toCancel, c.status)
		changes, err := b.admin().Retry(t.Context(), job.Selection{IDs: []int64{toRetry}})
		require.NoError(t, err)
		require.Equal(t, c.retried, changes[0].Changed, "%+v", changes)
		more, err := b.admin().Cancel(t.Context(), job.Selection{IDs: []int64{toCancel}})
		require.NoError(t, err)
		require.Equal(t, c.canceled, more[0].Changed, "%+v", more)
		for _, change := range append(changes, more...) {
			view, err := b.store.View(t.Context(), change.ID)
			require.NoError(t, err)
			require.Equal(t, string(view.Status), change.Status)
			require.Equal(t, change.Changed, view.Status != c.status, "%+v", change)
			require.Equal(t, change.Changed, change.Text == fmt.Sprintf("was %s, is %s now", c.status, view.Status), change.Text)
		}
	}
}

func TestConcurrentRetriesChangeTaskOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.accept(t, "k", "x")
	b.setStatus(t, id, store.Failed)
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			changes, err := b.admin().Retry(context.WithoutCancel(t.Context()), job.Selection{IDs: []int64{id}})
			if err != nil {
				t.Errorf("retry: %v", err)
				return
			}
			if changes[0].Changed {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, made.Load())
	stale, err := b.store.Cancel(t.Context(), id, store.Waiting, "x")
	require.NoError(t, err)
	require.False(t, stale, "fenced by the observed state")
}

func TestCancelledTaskFreesItsKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.accept(t, "k", "first"), b.accept(t, "k", "second")
	_, err := b.admin().Cancel(t.Context(), job.Selection{IDs: []int64{first}})
	require.NoError(t, err)
	b.start(t)
	b.awaitStatus(t, second, store.Finished)
	require.Equal(t, []string{"second"}, b.job.starts())
	require.Equal(t, "cancelled by an operator", b.awaitStatus(t, first, store.Cancelled).Detail)
	require.Equal(t, []string{"first: cancelled by an operator"}, b.job.discarded, "OnDiscarded is called")
}

func TestStatsCountByLaneTypeAndStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	empty, err := b.admin().Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, job.Stats{Counts: []job.Count{}, Lanes: []job.Backlog{}, Processes: []job.Load{}}, empty)
	old, failed := b.accept(t, "a", "x"), b.accept(t, "b", "x")
	b.accept(t, "c", "x")
	b.setStatus(t, failed, store.Failed)
	_, err = b.db.ExecContext(t.Context(), `UPDATE console_tasks SET created_at = created_at - INTERVAL '1 hour' WHERE id = $1`, old)
	require.NoError(t, err)
	stats, err := b.admin().Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, []job.Count{
		{Lane: "default", Type: "test.echo", Status: "error", Count: 1},
		{Lane: "default", Type: "test.echo", Status: "pending", Count: 2},
	}, stats.Counts)
	require.Len(t, stats.Lanes, 1)
	require.EqualValues(t, 2, stats.Lanes[0].Pending)
	require.InDelta(t, time.Hour.Seconds(), stats.Lanes[0].Oldest, 60)
}

func TestBulkCancelGoesOnAfterFailedOnDiscarded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.job.onDiscarded = func(n echo) error {
		if n.Text == "first" {
			return errors.New("the row is locked")
		}
		return nil
	}
	first, second := b.accept(t, "a", "first"), b.accept(t, "b", "second")
	changes, err := b.admin().Cancel(t.Context(), job.Selection{IDs: []int64{first, second}})
	require.ErrorContains(t, err, "the row is locked")
	require.Len(t, changes, 2)
	for _, c := range changes {
		require.True(t, c.Changed, c.Text)
	}
	require.Equal(t, []string{"first: cancelled by an operator", "second: cancelled by an operator"}, b.job.discarded)
}
