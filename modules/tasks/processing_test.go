package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

func TestAcceptedTaskRunsAndFinishes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t)
	id := b.accept(t, "k", "hello")
	view := b.awaitStatus(t, id, store.Finished)
	require.Equal(t, 1, view.Attempts)
	require.True(t, view.FinishedAt.Valid)
	require.Equal(t, []string{"hello"}, b.job.starts())
}

func TestTasksBeyondTheBufferStayPending(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Buffer, b.config.Tasks.Workers = 2, 1
	gate := make(chan struct{})
	b.job.execute = waiting(gate)
	var ids []int64
	for i := range 20 {
		ids = append(ids, b.accept(t, fmt.Sprint("key", i), "x"))
	}
	b.start(t)
	require.Eventually(t, func() bool { return b.count(t, "task_status = 'processing'") == 3 }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, 17, b.count(t, "task_status = 'pending'"), "one runs, two are buffered, the others are pending")
	close(gate)
	for _, id := range ids {
		b.awaitStatus(t, id, store.Finished)
	}
}

func (b *fixture) count(t *testing.T, where string) (n int) {
	t.Helper()
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM console_tasks WHERE `+where).Scan(&n))
	return n
}

func TestTasksOfOneKeyRunInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var running, most atomic.Int32
	b.job.execute = func(context.Context, job.Task, echo) error {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		return nil
	}
	b.start(t)
	b.start(t) // a second process
	var want []string
	last := int64(0)
	for i := range 30 {
		want = append(want, fmt.Sprint(i))
		last = b.accept(t, "same", fmt.Sprint(i))
	}
	b.awaitStatus(t, last, store.Finished)
	require.Equal(t, want, b.job.starts())
	require.EqualValues(t, 1, most.Load())
}

func TestSlowKeyDoesNotBlockOtherKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gate := make(chan struct{})
	b.job.execute = func(_ context.Context, _ job.Task, n echo) error {
		if n.Key == "slow" {
			<-gate
		}
		return nil
	}
	b.start(t)
	first, second := b.accept(t, "slow", "1"), b.accept(t, "slow", "2")
	b.awaitStatus(t, b.accept(t, "quick", "3"), store.Finished)
	require.Equal(t, 1, b.count(t, fmt.Sprintf("id = %d AND task_status = 'processing'", first)))
	require.Equal(t, 1, b.count(t, fmt.Sprintf("id = %d AND task_status = 'pending'", second)))
	close(gate)
	b.awaitStatus(t, second, store.Finished)
}

func TestFailingTaskIsRetriedThenDiscarded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.job.execute = func(context.Context, job.Task, echo) error {
		return errors.New("driver says: password=hunter2")
	}
	b.start(t)
	view := b.awaitStatus(t, b.accept(t, "k", "bad"), store.Failed)
	require.Equal(t, 3, view.Attempts)
	require.Equal(t, "internal error, see the log", view.LastError, "a driver's message is not for users")
	require.Equal(t, []string{"bad: internal error, see the log"}, b.job.discarded)
}

func TestTerminalErrorIsNotRetried(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.job.execute = func(context.Context, job.Task, echo) error { return job.NewTerminal("no such worker") }
	b.start(t)
	view := b.awaitStatus(t, b.accept(t, "k", "bad"), store.Failed)
	require.Equal(t, 1, view.Attempts)
	require.Equal(t, "no such worker", view.Detail)
}

func TestSnoozeDoesNotCountAsAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var runs atomic.Int32
	b.job.execute = func(context.Context, job.Task, echo) error {
		if runs.Add(1) < 6 {
			return job.NewSnooze(time.Millisecond, "waiting for the cluster")
		}
		return nil
	}
	b.start(t)
	view := b.awaitStatus(t, b.accept(t, "k", "x"), store.Finished)
	require.Equal(t, 1, view.Attempts)
}

func TestPanickingJobIsRetriedThenDiscarded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.job.execute = func(_ context.Context, _ job.Task, n echo) error {
		if n.Text == "panic" {
			panic("sk_secret")
		}
		return nil
	}
	b.log = b.log.WithOptions() // errors are expected here
	b.start(t)
	view := b.awaitStatus(t, b.accept(t, "k", "panic"), store.Failed)
	require.Equal(t, "the job panicked, see the log", view.LastError)
	b.awaitStatus(t, b.accept(t, "k", "after"), store.Finished)
}

func TestJobOverItsTimeoutIsCancelled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.JobTimeout = 20 * time.Millisecond
	b.job.execute = func(ctx context.Context, _ job.Task, _ echo) error {
		<-ctx.Done()
		return ctx.Err()
	}
	b.start(t)
	view := b.awaitStatus(t, b.accept(t, "k", "x"), store.Failed)
	require.Equal(t, "the job took longer than 20ms", view.LastError)
}

func TestShutdownFinishesRunningJobsAndReturnsTheRest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Workers = 4
	gate := make(chan struct{})
	b.job.execute = waiting(gate)
	for i := range 100 {
		b.accept(t, fmt.Sprint(i), "x")
	}
	tracker, stop := b.replica(t)
	require.Eventually(t, func() bool { return len(b.job.starts()) == 4 }, 10*time.Second, 5*time.Millisecond)
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	require.Eventually(t, func() bool { return !tracker.Lane(job.DefaultLane).Open() }, 10*time.Second, time.Millisecond)
	close(gate)
	<-stopped
	require.Len(t, b.job.starts(), 4, "nothing is started while stopping")
	require.Equal(t, 4, b.count(t, "task_status = 'finished'"))
	require.Equal(t, 96, b.count(t, "task_status = 'pending'"))
	b.start(t)
	require.Eventually(t, func() bool { return b.count(t, "task_status = 'finished'") == 100 }, 20*time.Second, 10*time.Millisecond)
}

func TestShutdownCancelsJobOverTimeoutAndReturnsItsTask(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.ShutdownTimeout = 30 * time.Millisecond
	var runs atomic.Int32
	b.job.execute = func(ctx context.Context, _ job.Task, _ echo) error {
		if runs.Add(1) > 1 {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
	id := b.accept(t, "k", "long")
	stop := b.start(t)
	require.Eventually(t, func() bool { return runs.Load() == 1 }, 10*time.Second, time.Millisecond)
	stop()
	require.Equal(t, 1, b.count(t, "task_status = 'pending'"))
	b.start(t)
	require.Equal(t, 1, b.awaitStatus(t, id, store.Finished).Attempts)
}
