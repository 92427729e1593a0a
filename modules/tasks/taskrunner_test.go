package tasks_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/modules/tasks/internal/admin"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/processor"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// taskRunner returns a TaskRunner in a process of its own.
func (b *fixture) taskRunner(t *testing.T) *admin.TaskRunner {
	t.Helper()
	tracker, m := claims.NewTracker(b.config), newMetrics(t)
	return admin.NewTaskRunner(b.registry, queue.New(b.registry, b.store, tracker, m, nil),
		processor.New(b.config, b.log, b.registry, b.store, b.heartbeats, tracker, m, nil), b.store)
}

// progress collects the reports of a run.
type progress struct {
	mu    sync.Mutex
	lines []string
}

func (p *progress) line(_ int64, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, text)
}

func (p *progress) has(part string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(strings.Join(p.lines, "\n"), part)
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func TestRunExecutesJobAsTask(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var p progress
	require.NoError(t, b.taskRunner(t).Run(within(t, 20*time.Second), "EchoJob", []byte(`{"text":"x"}`), p.line))
	require.Equal(t, 1, b.count(t, "task_status = 'finished' AND attempts = 1"))
	require.True(t, p.has("processing: runs in this process"), "%v", p.lines)
	require.Equal(t, "finished", p.lines[len(p.lines)-1])
}

func TestRunRetriesAndReportsTheFinalError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.job.execute = func(context.Context, job.Task, echo) error { return job.NewRetry("no luck", nil) }
	err := b.taskRunner(t).Run(within(t, 20*time.Second), "test.echo", []byte(`{"text":"x"}`), new(progress).line)
	require.ErrorContains(t, err, "ended as error: no luck")
	require.Equal(t, 1, b.count(t, "task_status = 'error' AND attempts = 3"))
}

func TestRunOfUnknownTypeListsKnownTypes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	err := b.taskRunner(t).Run(within(t, 20*time.Second), "nope", []byte(`{}`), new(progress).line)
	require.ErrorContains(t, err, `"nope"`)
	require.ErrorContains(t, err, "test.echo")
	require.Zero(t, b.count(t, "true"))
}

func TestRunTaskMakesDelayedAndParkedTasksDue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, status := range []store.Status{store.Pending, store.Waiting} {
		id := b.accept(t, fmt.Sprint("k", i), "x")
		b.setStatus(t, id, status)
		_, err := b.db.ExecContext(t.Context(), `UPDATE console_tasks SET run_at = LOCALTIMESTAMP + INTERVAL '1 hour' WHERE id = $1`,
			id)
		require.NoError(t, err)
		var p progress
		require.NoError(t, b.taskRunner(t).RunTask(within(t, 20*time.Second), id, "EchoJob", p.line))
		require.True(t, p.has("made due: it was "+string(status)), "%v", p.lines)
		b.awaitStatus(t, id, store.Finished)
	}
}

func TestRunTaskRefusesRunningEndedAndUnknownTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.accept(t, "k", "x")
	require.ErrorContains(t, b.taskRunner(t).RunTask(within(t, 20*time.Second), id+1, "", new(progress).line), "no such task")
	require.NoError(t, b.registry.Add([]job.Definition{job.Define(job.Spec{Type: "test.other"}, b.job)}))
	require.ErrorContains(t, b.taskRunner(t).RunTask(within(t, 20*time.Second), id, "test.other", new(progress).line),
		"is a test.echo, not a test.other")
	for _, status := range []store.Status{store.Processing, store.Finished, store.Failed, store.Cancelled, store.Superseded} {
		b.setStatus(t, id, status)
		require.Error(t, b.taskRunner(t).RunTask(within(t, 20*time.Second), id, "", new(progress).line), status)
		require.Equal(t, 1, b.count(t, fmt.Sprintf("task_status = '%s'", status)))
	}
	require.Empty(t, b.job.starts())
}

func TestRunTaskWaitsForEarlierTasksOfKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.accept(t, "k", "first"), b.accept(t, "k", "second")
	var p progress
	done := make(chan error, 1)
	later, ctx := b.taskRunner(t), within(t, 20*time.Second)
	go func() { done <- later.RunTask(ctx, second, "", p.line) }()
	require.Eventually(t, func() bool { return p.has("not its turn yet") }, 10*time.Second, 5*time.Millisecond)
	require.Empty(t, b.job.starts())
	require.NoError(t, b.taskRunner(t).RunTask(within(t, 20*time.Second), first, "", new(progress).line))
	require.NoError(t, <-done)
	require.Equal(t, []string{"first", "second"}, b.job.starts())
}

func TestInterruptedRunReturnsItsTask(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var runs atomic.Int32
	b.job.execute = func(ctx context.Context, _ job.Task, _ echo) error {
		runs.Add(1)
		<-ctx.Done()
		return ctx.Err()
	}
	id := b.accept(t, "k", "long")
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan error, 1)
	first := b.taskRunner(t)
	go func() { done <- first.RunTask(ctx, id, "", new(progress).line) }()
	require.Eventually(t, func() bool { return runs.Load() == 1 }, 10*time.Second, time.Millisecond)
	interrupt()
	require.ErrorContains(t, <-done, fmt.Sprintf("interrupted: task %d stays in the queue (pending: returned to the queue)", id))
	require.Equal(t, 1, b.count(t, "task_status = 'pending' AND attempts = 0 AND claimed_by = ''"))
	require.Equal(t, 0, b.processes(t))

	err := b.taskRunner(t).RunTask(within(t, 500*time.Millisecond), id, "", new(progress).line)
	require.ErrorContains(t, err, "the time is up")
	require.Equal(t, 1, b.count(t, "task_status = 'pending' AND attempts = 0 AND claimed_by = ''"))
}

func TestRunWithExpiredTimeoutStartsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.accept(t, "k", "x")
	ctx := within(t, 0)
	require.EqualError(t, b.taskRunner(t).RunTask(ctx, id, "", new(progress).line),
		fmt.Sprintf("the time is up: task %d was not started", id))
	require.ErrorContains(t, b.taskRunner(t).Run(ctx, "test.echo", []byte(`{"text":"x"}`), new(progress).line),
		"may or may not have been accepted")
	require.Empty(t, b.job.starts())
}

// processes counts the registered processes.
func (b *fixture) processes(t *testing.T) int {
	t.Helper()
	var n int
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM inner_processes`).Scan(&n))
	return n
}

func TestTaskOfRunIsNotReturnedWhenUncertain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rawDB := b.rawDB(t)
	_, err := rawDB.ExecContext(t.Context(), `CREATE SEQUENCE refusals; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN IF nextval(''refusals'') < 4 THEN RAISE EXCEPTION ''of the test'' USING ERRCODE = ''53100''; END IF; RETURN NEW; END'`)
	require.NoError(t, err)
	_, err = rawDB.ExecContext(t.Context(),
		`CREATE TRIGGER fail BEFORE UPDATE ON console_tasks FOR EACH ROW WHEN (NEW.task_status = 'finished') EXECUTE FUNCTION fail()`)
	require.NoError(t, err)
	b.log = zap.NewNop()
	id := b.accept(t, "k", "x")
	tracker := claims.NewTracker(b.config)
	p := processor.New(b.config, b.log, b.registry, b.store, b.heartbeats, tracker, newMetrics(t), nil)
	view, err := p.RunTask(within(t, timeout), id, func(v store.View) {
		if v.Status == store.Processing {
			tracker.MarkUncertain() // as after a failed claim
		}
	})
	require.NoError(t, err)
	require.Equal(t, store.Finished, view.Status)
	require.Equal(t, []string{"x"}, b.job.starts(), "it ran twice because its result was written late")
}

func TestRunDoesNotWaitForStuckJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.log = zap.NewNop()
	gate := make(chan struct{})
	defer close(gate)
	ctx, interrupt := context.WithCancel(t.Context())
	b.job.execute = func(context.Context, job.Task, echo) error {
		interrupt()
		<-gate
		return nil
	}
	id, r, ended := b.accept(t, "k", "stuck"), b.taskRunner(t), make(chan error, 1)
	go func() { ended <- r.RunTask(ctx, id, "", new(progress).line) }()
	select {
	case err := <-ended:
		require.ErrorContains(t, err, "interrupted")
	case <-time.After(timeout):
		require.Fail(t, "it waits for the job")
	}
	require.Equal(t, 1, b.count(t, "task_status = 'processing'"), "its job runs until the process exits")
}

func TestRunReportsPanicOfPayload(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.log = zap.NewNop()
	require.NoError(t, b.registry.Add([]job.Definition{job.Define(job.Spec{Type: "test.panicking"}, panickingJob{})}))
	inserted, err := b.store.Insert(t.Context(), "",
		[]store.NewTask{{Type: "test.panicking", Lane: job.DefaultLane, Info: []byte(`{"key":"stored"}`)}}, nil)
	require.NoError(t, err)
	require.ErrorContains(t, b.taskRunner(t).RunTask(within(t, timeout), inserted[0].ID, "", new(progress).line),
		"ended as error: internal error")
}

func TestRunFindsClaimWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.TakeoverAfter = time.Minute // no other process recovers the lost claim
	before, id := b.accept(t, "k", "before"), b.accept(t, "k", "x")
	tracker := claims.NewTracker(b.config)
	p := processor.New(b.config, b.log, b.registry, b.store, b.heartbeats, tracker, newMetrics(t), nil)
	lost := 0
	view, err := p.RunTask(within(t, 20*time.Second), id, func(store.View) {
		process, ok := tracker.Current()
		if !ok || lost > 0 {
			return
		}
		// It becomes the task's turn, and a claim takes effect that this process does not know of.
		_, err := b.admin().Cancel(t.Context(), job.Selection{IDs: []int64{before}})
		require.NoError(t, err)
		claimed, err := b.store.ClaimTasks(t.Context(), process, id)
		require.NoError(t, err)
		lost = len(claimed)
		tracker.MarkUncertain()
	})
	require.NoError(t, err)
	require.Equal(t, 1, lost, "no claim was lost in this test")
	require.Equal(t, store.Finished, view.Status)
}
