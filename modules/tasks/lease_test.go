package tasks_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/app/version"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/stack/postgres"
	"app238.com/inner/test/testdatabase"
)

// onOwnServer is a fixture on a database server of its own, with a lease that survives a busy machine.
func onOwnServer(t *testing.T) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	server, err := postgres.Start(ctx, postgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	require.NoError(t, server.CreateDatabase(ctx, "inner"))
	b := setupOn(t, testdatabase.At(t, server.DSN("inner")))
	require.NoError(t, database.Migrate(ctx, b.db.DB))
	b.config.Tasks.HeartbeatInterval, b.config.Tasks.TakeoverAfter = time.Second, 12*time.Second
	heartbeat, err := database.OpenHeartbeat(b.config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = heartbeat.Close() })
	b.heartbeats = store.NewHeartbeats(heartbeat, b.config, version.Development)
	return b
}

// backends returns the server processes of Inner's connections.
func (b *fixture) backends(t *testing.T) (pids []int) {
	t.Helper()
	other, err := database.Open(b.config) // a connection that is not Inner's
	require.NoError(t, err)
	defer func() { _ = other.Close() }()
	rows, err := other.QueryContext(t.Context(), `SELECT pid FROM pg_stat_activity
		WHERE application_name LIKE 'inner-gateway%' AND pid <> pg_backend_pid()`)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var pid int
		require.NoError(t, rows.Scan(&pid))
		pids = append(pids, pid)
	}
	require.NoError(t, rows.Err())
	return pids
}

// freeze stops server processes, as if their host were lost, until the returned function is called.
func freeze(t *testing.T, pids []int) (thaw func()) {
	t.Helper()
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have exited
	}
	thaw = sync.OnceFunc(func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	})
	t.Cleanup(thaw)
	return thaw
}

// freezeBackend stops a server process for longer than the takeover time.
func (b *fixture) freezeBackend(t *testing.T, pid int) {
	t.Helper()
	timer := time.AfterFunc(b.config.Tasks.TakeoverAfter+3*time.Second, freeze(t, []int{pid}))
	t.Cleanup(func() { timer.Stop() })
}

// gatedJob is a job that runs until the gate is closed, and counts interrupted executions.
func gatedJob(gate <-chan struct{}, cut *atomic.Int32) func(context.Context, job.Task, echo) error {
	run := waiting(gate)
	return func(ctx context.Context, task job.Task, n echo) error {
		err := run(ctx, task, n)
		if err != nil {
			cut.Add(1)
		}
		return err
	}
}

// awaitRun waits until the job runs: a task that is only claimed would be returned.
func (b *fixture) awaitRun(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return len(b.job.starts()) == 1 }, timeout, time.Millisecond)
}

// requireLeaseKept requires that a process keeps its lease for twice its span.
func (b *fixture) requireLeaseKept(t *testing.T, current func() (string, bool)) {
	t.Helper()
	id, ok := current()
	require.True(t, ok)
	require.Never(t, func() bool {
		now, ok := current()
		return !ok || now != id
	}, 2*b.config.Tasks.Lease(), 50*time.Millisecond, "the lease expired")
}

func TestJobSurvivesFrozenConnections(t *testing.T) {
	t.Parallel()
	b := onOwnServer(t)
	gate, cut := make(chan struct{}), &atomic.Int32{}
	b.job.execute = gatedJob(gate, cut)
	tracker, _ := b.replica(t)
	id := b.accept(t, "k", "long")
	b.awaitRun(t)
	thaw := freeze(t, b.backends(t))
	b.requireLeaseKept(t, tracker.Current)
	thaw()
	close(gate)
	b.awaitStatus(t, id, store.Finished)
	require.Zero(t, cut.Load())
	require.Len(t, b.job.starts(), 1)
}

func TestJobSurvivesLockOnConsoleTasks(t *testing.T) {
	t.Parallel()
	b := onOwnServer(t)
	gate, cut := make(chan struct{}), &atomic.Int32{}
	b.job.execute = gatedJob(gate, cut)
	tracker, _ := b.replica(t)
	id := b.accept(t, "k", "long")
	b.awaitRun(t)
	lock, err := b.rawDB(t).BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = lock.Rollback() }()
	_, err = lock.ExecContext(t.Context(), `SET idle_in_transaction_session_timeout = 0; LOCK TABLE console_tasks`)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	for range 60 {
		clients.Go(func() {
			for ctx.Err() == nil {
				_, _ = b.store.View(ctx, id)
			}
		})
	}
	b.requireLeaseKept(t, tracker.Current)
	stop()
	require.NoError(t, lock.Rollback())
	clients.Wait()
	close(gate)
	b.awaitStatus(t, id, store.Finished)
	require.Zero(t, cut.Load())
}

// Random backends are frozen while tasks are accepted, claimed, run and completed, so that each of these statements,
// and the heartbeats, is hit.
func TestFrozenBackendsLoseAndDuplicateNothing(t *testing.T) {
	t.Parallel()
	b := onOwnServer(t)
	b.config.Tasks.Attempts = 1000
	doubled := &overlaps{}
	b.job.execute = func(ctx context.Context, task job.Task, _ echo) error {
		defer doubled.begin(task.ID)()
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
		return ctx.Err()
	}
	b.start(t)
	b.start(t)
	var accepted []int64
	for i := range 300 {
		if i%60 == 30 {
			if pids := b.backends(t); len(pids) > 0 {
				b.freezeBackend(t, pids[rand.IntN(len(pids))])
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		id, err := b.queue.AcceptInfo(ctx, "test.echo", fmt.Appendf(nil, `{"key":"k%d","text":"%d"}`, i%7, i), "")
		cancel()
		if err == nil {
			accepted = append(accepted, id)
		}
	}
	require.NotEmpty(t, accepted)
	require.Eventually(t, func() bool {
		return b.count(t, "task_status <> 'finished'") == 0
	}, 3*time.Minute, 100*time.Millisecond)
	require.GreaterOrEqual(t, b.count(t, "true"), len(accepted))
	require.Empty(t, doubled.tasks())
}

// A process that was suspended for longer than the takeover time finds its row deleted.
func TestRecoveredProcessContinuesUnderNewIdentity(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gate, cut := make(chan struct{}), &atomic.Int32{}
	b.job.execute = gatedJob(gate, cut)
	tracker, _ := b.replica(t)
	id := b.accept(t, "k", "x")
	b.awaitRun(t)
	before, ok := tracker.Current()
	require.True(t, ok)
	require.Eventually(t, func() bool { return b.recoverAll(t) == 1 }, timeout, time.Millisecond,
		"another process recovers it between two heartbeats")
	require.Eventually(t, func() bool {
		now, ok := tracker.Current()
		return ok && now != before
	}, 20*time.Second, 10*time.Millisecond, "the heartbeat renews a deleted identity")
	// A busy machine may lose another lease.
	require.Eventually(t, func() bool { return cut.Load() > 0 }, 20*time.Second, 10*time.Millisecond,
		"the recovered job is not cancelled")
	close(gate)
	b.awaitStatus(t, id, store.Finished)
}

func TestRecoverIgnoresProcessWithNewHeartbeat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.accept(t, "k", "x")
	require.NoError(t, b.heartbeats.Register(t.Context(), "p", "host"))
	_, err := b.store.ClaimTasks(t.Context(), "p", id)
	require.NoError(t, err)
	seen, err := b.store.Poll(t.Context(), nil, nil, true)
	require.NoError(t, err)
	observed := seen.Processes
	require.Len(t, observed, 1)
	require.NoError(t, b.heartbeats.Renew(t.Context(), "p", store.Load{}))
	n, err := b.store.Recover(t.Context(), observed[0])
	require.NoError(t, err)
	require.Zero(t, n)
	require.NoError(t, b.heartbeats.Renew(t.Context(), "p", store.Load{}), "its row stays")
	require.EqualValues(t, 1, b.recoverAll(t))
	require.ErrorIs(t, b.heartbeats.Renew(t.Context(), "p", store.Load{}), store.ErrLeaseLost)
}
