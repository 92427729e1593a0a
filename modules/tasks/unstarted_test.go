package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
	"app238.com/inner/app/version"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/processor"
	"app238.com/inner/modules/tasks/internal/status"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/testdatabase"
)

// longAndShort makes jobs "long" wait for gate; all others finish at once.
func (b *fixture) longAndShort(gate <-chan struct{}) {
	b.job.execute = func(ctx context.Context, task job.Task, n echo) error {
		if n.Text == "long" {
			return waiting(gate)(ctx, task, n)
		}
		return nil
	}
}

func TestStaleClaimsMoveToIdleReplica(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Workers = 4
	gate := make(chan struct{})
	defer close(gate)
	b.longAndShort(gate)
	q := b.acceptor(t)
	for range 4 {
		_, err := q.Accept(t.Context(), "test.echo", echo{Text: "long"})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return b.job.timesStarted("long") == 4 }, timeout, time.Millisecond)
	for range 40 {
		_, err := q.Accept(t.Context(), "test.echo", echo{Text: "short"})
		require.NoError(t, err)
	}
	b.start(t)
	require.Eventually(t, func() bool { return b.count(t, "task_status = 'finished'") == 40 }, timeout, 10*time.Millisecond)
}

func TestLaneWindowGrowsBackAfterLongTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Workers = 2
	gate := make(chan struct{})
	b.longAndShort(gate)
	for range 2 {
		b.accept(t, "", "long")
	}
	for range 300 {
		b.accept(t, "", "short")
	}
	tracker, _ := b.replica(t)
	require.Eventually(t, func() bool {
		return b.job.timesStarted("long") == 2 && tracker.InFlight().Waiting[job.DefaultLane] == 0
	}, timeout, time.Millisecond)
	// They are untracked before the statement that returns them has finished.
	require.Eventually(t, func() bool { return b.count(t, "task_status = 'processing'") == 2 }, timeout, time.Millisecond)
	close(gate)
	require.Eventually(t, func() bool { return b.count(t, "task_status = 'finished'") == 302 }, timeout, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		lane := tracker.Lane(job.DefaultLane)
		slots := lane.ReserveSlots(1000)
		tracker.ReleaseSlots(lane, slots)
		return slots == b.config.Tasks.Buffer
	}, timeout, 10*time.Millisecond)
}

func TestStopReturnsUnstartedClaimsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Workers = 4
	gate := make(chan struct{})
	b.longAndShort(gate)
	for range 4 {
		b.accept(t, "", "long")
	}
	for range 6 {
		b.accept(t, "", "short")
	}
	stop := b.start(t)
	require.Eventually(t, func() bool { return b.job.timesStarted("long") == 4 }, timeout, time.Millisecond)
	var stopping sync.WaitGroup
	stopping.Go(stop)
	require.Eventually(t, func() bool { return b.count(t, "task_status = 'pending'") == 6 }, timeout, 5*time.Millisecond)
	require.Equal(t, 4, b.count(t, "task_status = 'processing'"))
	close(gate)
	stopping.Wait()
}

func TestStuckJobIsReportedAndDoesNotBlockStop(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Workers = 1
	b.config.Tasks.JobTimeout = 50 * time.Millisecond
	b.config.Tasks.ShutdownTimeout = 50 * time.Millisecond
	core, logs := observer.New(zap.InfoLevel)
	b.log = logging.Redacting(core)
	gate := make(chan struct{})
	b.job.execute = func(context.Context, job.Task, echo) error {
		<-gate
		return nil
	}
	tracker := claims.NewTracker(b.config)
	p := processor.New(b.config, b.log, b.registry, b.store, b.heartbeats, tracker, newMetrics(t), nil)
	stuck := b.accept(t, "k", "stuck")
	require.NoError(t, p.Start(t.Context()))
	require.Eventually(t, func() bool { return tracker.InFlight().Overrun == 1 }, timeout, 10*time.Millisecond)
	lines := logs.FilterMessage("job still running after cancellation")
	require.Equal(t, 1, lines.Len())
	require.Contains(t, lines.All()[0].ContextMap()["stack"], "unstarted_test.go")
	require.Eventually(t, func() bool {
		report, err := status.NewReplicas(b.store, b.config).Probe(t.Context())
		require.NoError(t, err)
		return strings.Contains(report.Text, "1 jobs still running")
	}, timeout, 10*time.Millisecond)
	for range 6 {
		b.accept(t, "", "waits")
	}
	require.ErrorContains(t, p.Stop(context.Background()), "1 jobs did not stop")
	require.Equal(t, 6, b.count(t, "task_status = 'pending' AND claimed_by = ''"))
	require.Equal(t, 1, b.count(t, "task_status = 'processing'"), "its job runs until the process exits")
	close(gate)
	b.start(t)
	b.awaitStatus(t, stuck, store.Finished)
}

func TestWorkerSurvivesPanicsAndGoexit(t *testing.T) {
	t.Parallel()
	refusal := setup(t).db.QueryRowContext(t.Context(), `SELECT CAST($1::TEXT AS BIGINT)`, "no number").Scan(new(int64))
	require.Error(t, refusal)
	for name, c := range map[string]struct {
		execute     func(context.Context, job.Task, echo) error
		onDiscarded func(echo) error
		want        string
	}{
		"a panic": {execute: func(context.Context, job.Task, echo) error { panic("broken") }, want: "the job panicked"},
		"Goexit":  {execute: func(context.Context, job.Task, echo) error { runtime.Goexit(); return nil }, want: "the job panicked"},
		"a panic in OnDiscarded": {
			execute:     func(context.Context, job.Task, echo) error { return job.NewTerminal("refused") },
			onDiscarded: func(echo) error { panic("broken") }, want: "refused",
		},
		"Goexit in OnDiscarded": {
			execute:     func(context.Context, job.Task, echo) error { return job.NewTerminal("refused") },
			onDiscarded: func(echo) error { runtime.Goexit(); return nil }, want: "refused",
		},
		"a refused value in OnDiscarded": {
			execute:     func(context.Context, job.Task, echo) error { return job.NewTerminal("refused") },
			onDiscarded: func(echo) error { return job.NewRetry("marking the row failed", refusal) }, want: "refused",
		},
		"a panic in the error": {execute: func(context.Context, job.Task, echo) error { return panickingError{} },
			want: "the job panicked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.config.Tasks.Workers = 1
			b.log = zap.NewNop()
			b.job.execute = func(ctx context.Context, task job.Task, n echo) error {
				if n.Text == "well" {
					return nil
				}
				return c.execute(ctx, task, n)
			}
			b.job.onDiscarded = c.onDiscarded
			b.start(t)
			require.Contains(t, b.awaitStatus(t, b.accept(t, "k", "badly"), store.Failed).LastError, c.want)
			b.awaitStatus(t, b.accept(t, "k", "well"), store.Finished)
		})
	}
}

// panickingError is an error whose text cannot be read.
type panickingError struct{}

func (panickingError) Error() string { panic(errors.New("broken")) }

// panickingPayload is a payload that panics once it is stored.
type panickingPayload struct {
	Key string `json:"key"`
}

func (m panickingPayload) Validate() error { return nil }
func (m panickingPayload) OrderingKey() string {
	if m.Key == "stored" {
		panic("broken: " + m.Key)
	}
	return m.Key
}

type panickingJob struct{}

func (panickingJob) Execute(context.Context, job.Task, panickingPayload) error { return nil }
func TestTaskWithPanickingPayloadFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.registry.Add([]job.Definition{job.Define(job.Spec{Type: "test.panicking"}, panickingJob{})}))
	core, logs := observer.New(zap.ErrorLevel)
	b.log = logging.Redacting(core)
	id, err := b.queue.AcceptInfo(t.Context(), "test.panicking", []byte(`{"key":"x"}`), "")
	require.NoError(t, err)
	_, err = b.db.ExecContext(t.Context(), `UPDATE console_tasks SET task_info = '{"key":"stored"}' WHERE id = $1`, id)
	require.NoError(t, err)
	b.start(t)
	require.Equal(t, "internal error, see the log", b.awaitStatus(t, id, store.Failed).LastError)
	b.awaitStatus(t, b.accept(t, "", fmt.Sprint("after ", id)), store.Finished)
	text := fmt.Sprint(logs.All()[0].ContextMap()["error"])
	require.Contains(t, text, "broken: ***")
	require.NotContains(t, text, "stored", "the payload may contain secrets")
}

func TestStopUnregistersProcessDespiteFailingHeartbeats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := proxy.New(t, b.config.Database.DSN.Reveal())
	c := testdatabase.Config(t, p.DSN)
	c.Tasks = b.config.Tasks
	heartbeat, err := database.OpenHeartbeat(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, heartbeat.Close()) })
	b.heartbeats = store.NewHeartbeats(heartbeat, b.config, version.Development)
	stop := b.start(t)
	require.Eventually(t, func() bool { return b.processes(t) == 1 }, timeout, 10*time.Millisecond)
	p.Cut()
	defer time.AfterFunc(time.Second, p.Restore).Stop()
	stop()
	require.Zero(t, b.processes(t))
}

func TestHeartbeatsDistinguishRunningFromClaimedTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Workers = 1
	gate := make(chan struct{})
	defer close(gate)
	b.longAndShort(gate)
	b.start(t)
	running := b.accept(t, "k1", "long")
	require.Eventually(t, func() bool { return b.job.timesStarted("long") == 1 }, timeout, time.Millisecond)
	_, err := b.db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, task_status, ordering_key, claimed_by)
		SELECT 'test.echo', 'processing', 'k2', id FROM inner_processes ORDER BY started_at DESC LIMIT 1`)
	require.NoError(t, err, "a claim that no worker has started")
	require.Eventually(t, func() bool {
		page, err := b.admin().List(t.Context(), job.Filter{Limit: 10})
		require.NoError(t, err)
		return len(page.Tasks) == 2 && page.Tasks[0].ID == running && page.Tasks[0].State() == job.Running &&
			page.Tasks[1].State() == job.Claimed
	}, timeout, 10*time.Millisecond)
}

func TestStopReturnsClaimsOfAnInterruptedStatementBeforeJobsEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Workers = 1
	b.config.Tasks.PollInterval, b.config.Tasks.HeartbeatInterval = time.Hour, 500*time.Millisecond
	gate := make(chan struct{})
	b.longAndShort(gate)
	long := b.accept(t, "a", "long")
	tracker, stop := b.replica(t)
	require.Eventually(t, func() bool { return b.job.timesStarted("long") == 1 }, timeout, time.Millisecond)
	short := b.accept(t, "b", "short")
	process, ok := tracker.Current()
	require.True(t, ok)
	claimed, err := b.store.Claim(t.Context(), process, job.DefaultLane, 1, 0)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	tracker.MarkUncertain() // its answer was lost
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	b.awaitStatus(t, short, store.Pending)
	view, err := b.store.View(t.Context(), long)
	require.NoError(t, err)
	require.Equal(t, store.Processing, view.Status)
	close(gate)
	<-stopped
	b.awaitStatus(t, long, store.Finished)
}
