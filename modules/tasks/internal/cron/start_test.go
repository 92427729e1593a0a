package cron_test

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/job"
)

// longTime is an interval that does not end during a test: its current tick is 0.
const longTime = 1_000_000 * time.Hour

// atStart returns a job with RunOnStart whose tick was executed the given time ago.
func (b *fixture) atStart(t *testing.T, ago time.Duration) job.Periodic {
	t.Helper()
	_, err := b.db.ExecContext(t.Context(), `INSERT INTO inner_ticks (name, tick, task_id, created_at)
		VALUES ('audit', 0, 0, LOCALTIMESTAMP - $1::FLOAT8 * INTERVAL '1 second')`, ago.Seconds())
	require.NoError(t, err)
	return job.Periodic{Name: "audit", Interval: longTime, Type: "audit", Payload: audit{OK: true}, RunOnStart: true}
}

// executions returns the number of tasks of the job.
func (b *fixture) executions(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM console_tasks WHERE task_type = 'audit'`).Scan(&n))
	return n
}

// age makes the executions older and finishes their tasks.
func (b *fixture) age(t *testing.T, by time.Duration) {
	t.Helper()
	_, err := b.db.ExecContext(t.Context(),
		`UPDATE inner_ticks SET created_at = created_at - $1::FLOAT8 * INTERVAL '1 second'`, by.Seconds())
	require.NoError(t, err)
	_, err = b.db.ExecContext(t.Context(), `UPDATE console_tasks SET task_status = 'finished'`)
	require.NoError(t, err)
}

// startAndStop runs a process until it has checked for due jobs.
func (b *fixture) startAndStop(t *testing.T, p job.Periodic) {
	t.Helper()
	// The marker's tick is inserted after the jobs before it in the list were checked.
	marker := job.Periodic{Name: rand.Text(), Interval: longTime, Type: "marker", Payload: audit{OK: true}}
	c, err := b.cron(p, marker)
	require.NoError(t, err)
	require.NoError(t, c.Start(context.Background()))
	require.Eventually(t, func() bool {
		var n int
		row := b.db.QueryRowContext(context.Background(), `SELECT count(*) FROM inner_ticks WHERE name = $1`, marker.Name)
		return row.Scan(&n) == nil && n == 1
	}, 20*time.Second, 5*time.Millisecond)
	require.NoError(t, c.Stop(context.Background()))
}

func TestReplicasStartingTogetherRunJobOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.atStart(t, 2*b.db.Config.Cron.StartInterval)
	var replicas sync.WaitGroup
	for range 5 {
		replicas.Go(func() { b.startAndStop(t, p) })
	}
	replicas.Wait()
	require.Equal(t, 1, b.executions(t))
}

func TestCrashLoopRunsJobOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.atStart(t, 2*b.db.Config.Cron.StartInterval)
	for range 10 {
		b.startAndStop(t, p)
		b.age(t, b.db.Config.Cron.StartInterval/20)
	}
	require.Equal(t, 1, b.executions(t))
}

func TestLaterStartRunsJobAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.atStart(t, 2*b.db.Config.Cron.StartInterval)
	for range 3 {
		b.startAndStop(t, p)
		b.age(t, 2*b.db.Config.Cron.StartInterval)
	}
	require.Equal(t, 3, b.executions(t))
}

func TestStartSkipsRecentRunningAndDisabledJobs(t *testing.T) {
	t.Parallel()
	interval := setup(t).db.Config.Cron.StartInterval
	t.Run("recent", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.startAndStop(t, b.atStart(t, interval/2))
		require.Zero(t, b.executions(t))
	})
	t.Run("running", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		p := b.atStart(t, 2*interval)
		_, err := b.db.ExecContext(t.Context(), `WITH t AS (
				INSERT INTO console_tasks (task_type, task_status) VALUES ('audit', 'waiting') RETURNING id)
			UPDATE inner_ticks SET task_id = t.id FROM t`)
		require.NoError(t, err)
		b.startAndStop(t, p)
		require.Equal(t, 1, b.executions(t))
	})
	t.Run("disabled", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		p := b.atStart(t, 2*interval)
		p.RunOnStart = false
		b.startAndStop(t, p)
		require.Zero(t, b.executions(t))
	})
}
