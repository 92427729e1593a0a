package tasks_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

// acceptor starts a process that accepts and runs: it inserts tasks as claims while it has free slots.
func (b *fixture) acceptor(t *testing.T) *queue.Queue {
	t.Helper()
	tracker, _ := b.replica(t)
	require.Eventually(t, func() bool { _, ok := tracker.Current(); return ok }, 10*time.Second, time.Millisecond)
	return queue.New(b.registry, b.store, tracker, newMetrics(t), nil)
}

func TestConcurrentAcceptsRunOnceInKeyOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Buffer = 8 // so that some are inserted as claims and some pending
	replicas := []*queue.Queue{b.acceptor(t), b.acceptor(t)}
	const producers, each = 16, 25
	var wg sync.WaitGroup
	ids := make([][]int64, producers)
	for p := range producers {
		wg.Go(func() {
			for n := range each {
				id, err := replicas[p%2].Accept(context.WithoutCancel(t.Context()), "test.echo",
					echo{Key: fmt.Sprint("k", p), Text: fmt.Sprintf("%d/%03d", p, n)})
				if err != nil {
					t.Errorf("accept: %v", err)
				}
				ids[p] = append(ids[p], id)
			}
		})
	}
	wg.Wait()
	seen := map[int64]bool{}
	for _, of := range ids {
		require.IsIncreasing(t, of)
		for _, id := range of {
			require.False(t, seen[id], "id %d was returned twice", id)
			seen[id] = true
			b.awaitStatus(t, id, store.Finished)
		}
	}
	last := map[string]string{}
	starts := b.job.starts()
	require.Len(t, starts, producers*each)
	for _, text := range starts {
		key := text[:len(text)-4]
		require.Less(t, last[key], text, "the order of a key")
		last[key] = text
	}
}

func TestUntrackedClaimsAreReturnedWhenUncertain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.PollInterval = time.Hour // new tasks are not polled
	tracker, _ := b.replica(t)
	require.Eventually(t, func() bool { _, ok := tracker.Current(); return ok }, 10*time.Second, time.Millisecond)
	process, _ := tracker.Current()
	// The answer to this claim is lost, as when a connection breaks: the live process owns it without knowing.
	var id int64
	for n, lost := 0, []store.Claim(nil); len(lost) == 0; n++ { // again if the replica's first scan claimed it
		id = b.accept(t, fmt.Sprint("k", n), "lost") // by another process, without a notification
		var err error
		lost, err = b.store.ClaimTasks(t.Context(), process, id)
		require.NoError(t, err)
	}
	tracker.MarkUncertain()
	b.awaitStatus(t, id, store.Finished)
}

func TestUntrackedClaimsAreReturnedDespiteFailingRecovery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.PollInterval = time.Hour
	b.log = zap.NewNop()
	rawDB := b.rawDB(t)
	_, err := rawDB.ExecContext(t.Context(), `CREATE SEQUENCE refusals; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM nextval(''refusals''); RAISE EXCEPTION ''of the test'' USING ERRCODE = ''53100''; END'`)
	require.NoError(t, err)
	_, err = rawDB.ExecContext(t.Context(),
		`CREATE TRIGGER fail BEFORE UPDATE ON console_tasks FOR EACH ROW WHEN (NEW.takeovers > 0) EXECUTE FUNCTION fail()`)
	require.NoError(t, err)
	require.NoError(t, b.heartbeats.Register(t.Context(), "dead", "host"))
	_, err = b.store.ClaimTasks(t.Context(), "dead", b.accept(t, "dead", "stays"))
	require.NoError(t, err)
	tracker, _ := b.replica(t)
	require.Eventually(t, func() bool {
		var requireUnavailable bool
		return rawDB.QueryRowContext(t.Context(), `SELECT is_called FROM refusals`).Scan(&requireUnavailable) == nil &&
			requireUnavailable
	}, timeout, 10*time.Millisecond)
	process, ok := tracker.Current()
	require.True(t, ok)
	id := b.accept(t, "k", "lost")
	lost, err := b.store.ClaimTasks(t.Context(), process, id)
	require.NoError(t, err)
	require.Len(t, lost, 1)
	tracker.MarkUncertain()
	b.awaitStatus(t, id, store.Finished)
}

func TestUncertainClaimsDoNotBlockAccepts(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	db.Config.Database.StatementTimeout = 2 * timeout
	b := setupOn(t, db)
	tracker, _ := b.replica(t)
	require.Eventually(t, func() bool { _, ok := tracker.Current(); return ok }, timeout, time.Millisecond)
	q := queue.New(b.registry, b.store, tracker, newMetrics(t), nil)
	ran := make(chan struct{})
	b.job.execute = func(context.Context, job.Task, echo) error {
		close(ran)
		return nil
	}
	for range b.config.Database.MaxOpenConnections {
		conn, err := b.db.Conn(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() }) // before the process ends
	}
	tracker.MarkUncertain()
	<-time.After(time.Second) // by now it is being returned
	_, err := q.Accept(within(t, timeout), "test.echo", echo{Text: "x"})
	require.NoError(t, err)
	<-ran
}

func TestRestoredRowWithOldClaimRunsAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tracker, _ := b.replica(t)
	require.Eventually(t, func() bool { _, ok := tracker.Current(); return ok }, timeout, time.Millisecond)
	id := b.accept(t, "k", "x")
	b.awaitStatus(t, id, store.Finished)
	process, _ := tracker.Current()
	_, err := b.db.ExecContext(t.Context(),
		`UPDATE console_tasks SET task_status = 'processing', claimed_by = $2, finished_at = NULL WHERE id = $1`, id, process)
	require.NoError(t, err)
	b.awaitStatus(t, id, store.Finished)
	require.Len(t, b.job.starts(), 2)
}

func TestNextTaskOfKeyRunsWithoutPoll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.PollInterval = time.Hour
	gate := make(chan struct{})
	b.job.execute = waiting(gate)
	q := b.acceptor(t)
	for i := range 30 {
		_, err := q.Accept(t.Context(), "test.echo", echo{Key: "k", Text: fmt.Sprint(i)})
		require.NoError(t, err)
	}
	close(gate)
	require.Eventually(t, func() bool { return b.count(t, "task_status = 'finished'") == 30 }, 20*time.Second, 10*time.Millisecond)
}

func TestKeysWithManyTasksDoNotStarveOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Workers, b.config.Tasks.Buffer, b.config.Tasks.PollInterval = 1, 16, time.Hour
	b.job.execute = func(ctx context.Context, _ job.Task, _ echo) error { // longer than claiming the next one
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
		return nil
	}
	const keys, each = 32, 12
	for n := range each {
		for k := range keys {
			b.accept(t, fmt.Sprint("k", k), "x")
		}
		if n == 0 {
			b.accept(t, "alone", "alone")
		}
	}
	b.start(t)
	require.Eventually(t, func() bool { return b.count(t, "task_status = 'finished'") == keys*each+1 }, 20*time.Second,
		10*time.Millisecond)
	require.Less(t, slices.Index(b.job.starts(), "alone"), keys*each/4)
}

func TestSlowLaneDoesNotBlockDefaultLane(t *testing.T) {
	t.Parallel()
	b := setup(t)
	slow := &scriptedJob{}
	gate := make(chan struct{})
	slow.execute = waiting(gate)
	require.NoError(t, b.registry.Add([]job.Definition{job.Define(job.Spec{Type: "test.slow", Lane: job.SlowLane}, slow)}))
	q := b.acceptor(t)
	for i := range 50 {
		_, err := q.Accept(t.Context(), "test.slow", echo{Key: fmt.Sprint(i), Text: "x"})
		require.NoError(t, err)
	}
	b.awaitStatus(t, b.accept(t, "quick", "x"), store.Finished)
	close(gate)
	require.Eventually(t, func() bool { return b.count(t, "task_status = 'finished'") == 51 }, 20*time.Second, 10*time.Millisecond)
}

func TestPolledTaskDoesNotWaitForOtherLanesBacklog(t *testing.T) {
	t.Parallel()
	b, p := setupBehindProxy(t)
	b.config.Tasks.Buffer = 4
	b.job.execute = func(context.Context, job.Task, echo) error {
		<-time.After(2 * time.Millisecond)
		return nil
	}
	require.NoError(t, b.registry.Add([]job.Definition{job.Define(job.Spec{Type: "test.slow", Lane: job.SlowLane}, &scriptedJob{})}))
	const backlog = 3000
	_, err := b.db.ExecContext(t.Context(),
		`INSERT INTO console_tasks (task_type, task_info, task_status, task_detailed_status, lane, ordering_key)
		SELECT 'test.echo', '{"text":"x"}', 'pending', 'accepted', 'default', CAST(n AS TEXT) FROM generate_series(1, $1::INT) AS n`, backlog)
	require.NoError(t, err)
	b.start(t)
	require.Eventually(t, func() bool { return b.count(t, "task_status = 'finished'") > 50 }, timeout, time.Millisecond)
	id, err := b.queue.AcceptInfo(t.Context(), "test.slow", []byte(`{"key":"slow","text":"x"}`), "") // as by another process
	require.NoError(t, err)
	b.awaitStatus(t, id, store.Finished)
	require.Positive(t, b.count(t, "task_status = 'pending'"), "the backlog was finished too early for this test")
	require.Eventually(t, func() bool { return b.count(t, "task_status <> 'finished'") == 0 }, timeout, 10*time.Millisecond)
	require.Less(t, p.Sent("SET task_status = 'processing'"), backlog, "empty lanes are not claimed from each time")
}

func TestAcceptIsFastWhileAllWorkersAreBusy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gate := make(chan struct{})
	b.job.execute = waiting(gate)
	q := b.acceptor(t)
	for i := range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := q.Accept(ctx, "test.echo", echo{Key: fmt.Sprint(i), Text: "x"})
		cancel()
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return len(b.job.starts()) == b.config.Tasks.Workers }, 20*time.Second, 10*time.Millisecond)
	close(gate)
	require.Eventually(t, func() bool { return b.count(t, "task_status = 'finished'") == 300 }, 20*time.Second, 10*time.Millisecond)
}

func TestCompleteDiscardedFinishesTask(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.job.execute = func(context.Context, job.Task, echo) error { return job.NewTerminal("the rollout failed") }
	b.start(t)
	id := b.accept(t, "k", "x")
	b.awaitStatus(t, id, store.Failed)
	require.NoError(t, b.queue.CompleteDiscarded(t.Context(), id))
	b.awaitStatus(t, id, store.Finished)
}

func TestAttemptErrorsAreRedactedAndTruncated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.job.execute = func(context.Context, job.Task, echo) error {
		return fmt.Errorf("sk_secret password=hunter2 %0*d", 5000, 7)
	}
	b.start(t)
	id := b.accept(t, "k", "x")
	b.awaitStatus(t, id, store.Failed)
	var stored string
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT attempt_errors FROM console_tasks WHERE id = $1`, id).Scan(&stored))
	require.Equal(t, 3, strings.Count(stored, "\n"), "a line for each attempt")
	require.Less(t, len(stored), 3*1200)
	require.NotContains(t, stored, "sk_secret")
	require.NotContains(t, stored, "hunter2")
}
