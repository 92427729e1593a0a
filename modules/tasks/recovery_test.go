package tasks_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/encryption"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

func TestTasksOfDeadProcessAreRecovered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.accept(t, "k", "orphan")
	require.NoError(t, b.heartbeats.Register(t.Context(), "dead", "host"))
	claims, err := b.store.Claim(t.Context(), "dead", job.DefaultLane, 10, 0)
	require.NoError(t, err)
	require.Len(t, claims, 1)
	b.start(t)
	b.awaitStatus(t, id, store.Finished)
	written, _, err := b.store.Complete(t.Context(),
		store.CompletionBatch{Completions: []store.Completion{{Claim: claims[0], Status: store.Failed}}})
	require.NoError(t, err)
	require.Empty(t, written, "a dead process that returns changes nothing")
	require.ErrorIs(t, b.store.Requeue(t.Context(), store.Completion{Claim: claims[0]}, 0), store.ErrClaimLost)
	require.ErrorIs(t, b.store.Park(t.Context(), store.Completion{Claim: claims[0], Detail: "late"}, 0), store.ErrClaimLost)
	b.awaitStatus(t, id, store.Finished)
}

// recoverAll recovers the tasks of all processes, as if all had died.
func (b *fixture) recoverAll(t *testing.T) (tasks int64) {
	t.Helper()
	seen, err := b.store.Poll(t.Context(), nil, nil, true)
	require.NoError(t, err)
	for _, p := range seen.Processes {
		n, err := b.store.Recover(t.Context(), p)
		require.NoError(t, err)
		tasks += n
	}
	return tasks
}

// crashProcesses makes several processes in a row claim the only task and die.
func (b *fixture) crashProcesses(t *testing.T, times int) {
	t.Helper()
	for range times {
		require.Eventually(t, func() bool {
			claims, err := b.store.Claim(t.Context(), "dead", job.DefaultLane, 10, 0)
			require.NoError(t, err)
			requeued, err := b.store.ClaimRequeued(t.Context(), "dead", job.DefaultLane, 10)
			require.NoError(t, err)
			return len(claims)+len(requeued) == 1
		}, 20*time.Second, 10*time.Millisecond, "the task is not claimed")
		require.EqualValues(t, 1, b.recoverAll(t))
	}
}

func TestTaskIsDiscardedAfterMaxTakeovers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.MaxTakeovers = 4
	id := b.accept(t, "k", "deadly")
	b.crashProcesses(t, 4)
	b.start(t)
	const why = "discarded: 4 processes ended while running it"
	require.Equal(t, why, b.awaitStatus(t, id, store.Failed).LastError)
	require.Empty(t, b.job.starts())
	require.Equal(t, []string{"deadly: " + why}, b.job.discarded, "OnDiscarded is called")
	details, err := b.admin().Show(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 4, details.Takeovers)
	_, err = b.admin().Retry(t.Context(), job.Selection{IDs: []int64{id}})
	require.NoError(t, err)
	b.awaitStatus(t, id, store.Finished)
	require.Equal(t, []string{"deadly"}, b.job.starts())
}

func TestTaskRunsBelowMaxTakeovers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.MaxTakeovers = 4
	id := b.accept(t, "k", "unlucky")
	b.crashProcesses(t, 3)
	b.start(t)
	require.Equal(t, 1, b.awaitStatus(t, id, store.Finished).Attempts, "a recovery is not an attempt")
}

func TestRecoveryDelayDoublesFromThirdTakeover(t *testing.T) {
	t.Parallel()
	b := setup(t)
	keyring, err := encryption.New(b.config)
	require.NoError(t, err)
	b.config.Tasks.RetryDelay, b.config.Tasks.RetryDelayMax = time.Hour, 24*time.Hour
	b.store = store.New(b.db.DB, b.db.Prepared, keyring, b.config)
	id := b.accept(t, "k", "x")
	for before, hours := range []float64{0, 0, 4, 8, 16, 24, 24} {
		b.crashProcesses(t, 1)
		var wait float64
		require.NoError(t, b.db.QueryRowContext(t.Context(),
			`SELECT EXTRACT(EPOCH FROM GREATEST(run_at, LOCALTIMESTAMP) - LOCALTIMESTAMP) / 3600 FROM console_tasks WHERE id = $1`,
			id).Scan(&wait))
		require.InDelta(t, hours, wait, hours/2+0.01, "after %d takeovers", before+1)
		_, err := b.db.ExecContext(t.Context(), `UPDATE console_tasks SET run_at = LOCALTIMESTAMP WHERE id = $1`, id)
		require.NoError(t, err)
	}
}

func TestLongJobOfLiveProcessIsNotRecovered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.TakeoverAfter = 3 * time.Second // a busy machine may delay a heartbeat
	var runs atomic.Int32
	b.job.execute = func(ctx context.Context, _ job.Task, _ echo) error {
		runs.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(2 * b.config.Tasks.TakeoverAfter):
		}
		return ctx.Err()
	}
	id := b.accept(t, "k", "long")
	b.start(t)
	b.start(t)
	b.awaitStatus(t, id, store.Finished)
	require.EqualValues(t, 1, runs.Load())
}

func TestParkedTaskHoldsNeitherWorkerNorKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Workers = 1
	var resumed atomic.Bool
	b.job.execute = func(_ context.Context, _ job.Task, n echo) error {
		if n.Text == "parks" && !resumed.Load() {
			return job.NewParked("waiting for pods")
		}
		return nil
	}
	b.start(t)
	parked := b.accept(t, "k", "parks")
	require.Equal(t, "waiting for pods", b.awaitStatus(t, parked, "waiting").Detail)
	b.awaitStatus(t, b.accept(t, "k", "passes"), store.Finished)
	resumed.Store(true)
	require.NoError(t, b.queue.Resume(t.Context(), "k"))
	b.awaitStatus(t, parked, store.Finished)
}

func TestResumeBeforeParkingIsNotLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.ParkedRecheck = time.Hour
	var runs atomic.Int32
	b.job.execute = func(ctx context.Context, _ job.Task, n echo) error {
		if runs.Add(1) > 1 {
			return nil
		}
		if err := b.queue.Resume(ctx, n.Key); err != nil {
			return err
		}
		return job.NewParked("waiting for what has happened already")
	}
	b.start(t)
	b.awaitStatus(t, b.accept(t, "k", "x"), store.Finished)
	require.EqualValues(t, 2, runs.Load())
}

func TestTaskResumedBeforeItsFailureIsWrittenRunsAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var runs atomic.Int32
	b.job.execute = func(ctx context.Context, task job.Task, n echo) error {
		if runs.Add(1) > 1 {
			return nil
		}
		// In the order in which the outcome of a rollout is recorded.
		if err := errors.Join(b.queue.Resume(ctx, n.Key), b.queue.CompleteDiscarded(ctx, task.ID)); err != nil {
			return err
		}
		return job.NewTerminal("the pods did not start")
	}
	b.start(t)
	b.awaitStatus(t, b.accept(t, "k", "x"), store.Finished)
	require.EqualValues(t, 2, runs.Load())
}

func TestParkedTaskIsRechecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.ParkedRecheck = 20 * time.Millisecond
	var runs atomic.Int32
	b.job.execute = func(context.Context, job.Task, echo) error {
		if runs.Add(1) > 1 {
			return nil
		}
		return job.NewParked("never resumed")
	}
	b.start(t)
	b.awaitStatus(t, b.accept(t, "k", "x"), store.Finished)
}

func TestCancelParkedEndsEarlierParkedTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.job.execute = func(context.Context, job.Task, echo) error { return job.NewParked("waits") }
	b.start(t)
	first := b.accept(t, "k", "1")
	b.awaitStatus(t, first, store.Waiting)
	second := b.accept(t, "k", "2")
	b.awaitStatus(t, second, store.Waiting)
	require.NoError(t, b.queue.CancelParked(t.Context(), "k", second, true, "superseded by version 2"))
	require.Equal(t, "superseded by version 2", b.awaitStatus(t, first, store.Superseded).Detail)
	b.awaitStatus(t, second, store.Waiting)
}

func TestConcurrentClaimsNeverOverlap(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const tasks, processes = 200, 6
	for i := range tasks {
		b.accept(t, []string{"", "a", "b", "c", "d", "e", "f", "g"}[i%8], "x")
	}
	var mu sync.Mutex
	seen := map[int64]bool{}
	keys := map[string]bool{}
	var wg sync.WaitGroup
	for p := range processes {
		wg.Go(func() {
			claims, err := b.store.Claim(context.WithoutCancel(t.Context()), string(rune('A'+p)), job.DefaultLane, tasks, 0)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("claim: %v", err)
			}
			for _, c := range claims {
				if seen[c.ID] {
					t.Errorf("task %d was claimed twice", c.ID)
				}
				seen[c.ID] = true
				keys[string(c.Info)] = true
			}
		})
	}
	wg.Wait()
	require.Equal(t, 25+7, b.count(t, "task_status = 'processing'"), "all without a key, and one of each key")
}

func TestTickIsInsertedOnceByConcurrentReplicas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	task := store.NewTask{Type: "test.echo", Lane: job.DefaultLane, Info: []byte(`{"text":"tick"}`)}
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			ok, err := b.store.InsertTick(context.WithoutCancel(t.Context()), "audit", store.Tick{Number: 42}, task)
			if err != nil {
				t.Errorf("tick: %v", err)
			}
			if ok {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, made.Load())
	require.Equal(t, 1, b.count(t, "true"))
	latest, _, err := b.store.LatestTicks(t.Context(), []string{"audit", "none"})
	require.NoError(t, err)
	require.EqualValues(t, 42, latest["audit"].Number)
	require.True(t, latest["audit"].Active)
	require.False(t, latest["none"].Found)
}
