package cron_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/cron"
	"app238.com/inner/modules/tasks/internal/encryption"
	"app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// audit is a payload that is valid if OK is set.
type audit struct {
	OK bool `json:"ok"`
}

func (a audit) Validate() error {
	if !a.OK {
		return errors.New("ok: must be true")
	}
	return nil
}

func (audit) OrderingKey() string { return "audit" }

type noop struct{}

func (noop) Execute(context.Context, job.Task, audit) error { return nil }

// fixture creates crons on one database.
type fixture struct {
	db    *testdatabase.Database
	reg   *registry.Registry
	store *store.Store
	queue *queue.Queue
}

func setup(t *testing.T) *fixture {
	t.Helper()
	b := &fixture{db: testdatabase.New(t), reg: registry.New()}
	b.db.Config.Cron.CheckInterval = 20 * time.Millisecond
	require.NoError(t, b.reg.Add([]job.Definition{
		job.Define(job.Spec{Type: "audit"}, noop{}), job.Define(job.Spec{Type: "marker"}, noop{}),
	}))
	b.store = store.New(b.db.DB, b.db.Prepared, &encryption.Keyring{}, b.db.Config)
	m, err := metrics.New(prometheus.NewRegistry())
	require.NoError(t, err)
	b.queue = queue.New(b.reg, b.store, claims.NewTracker(b.db.Config), m, nil)
	return b
}

func (b *fixture) cron(jobs ...job.Periodic) (*cron.Cron, error) {
	return cron.New(cron.Params{Config: b.db.Config, Log: zap.NewNop(), Registry: b.reg, Store: b.store, Queue: b.queue, Jobs: jobs})
}

func TestReplicasInsertOneTaskPerTick(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 3 {
		c, err := b.cron(job.Periodic{Name: "audit", Interval: time.Hour, Type: "audit", Payload: audit{OK: true}})
		require.NoError(t, err)
		require.NoError(t, c.Start(t.Context()))
		t.Cleanup(func() { require.NoError(t, c.Stop(context.Background())) })
	}
	count := func() (n int) { // what Never runs last may still run when the database is closed
		_ = b.db.QueryRowContext(context.Background(), `SELECT count(*) FROM console_tasks`).Scan(&n)
		return n
	}
	require.Eventually(t, func() bool { return count() > 0 }, 10*time.Second, 10*time.Millisecond)
	require.Never(t, func() bool { return count() > 2 }, 300*time.Millisecond, 50*time.Millisecond,
		"one, or two where the hour ends during the test")
}

func TestInvalidPeriodicJobsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := job.Periodic{Name: "audit", Interval: time.Hour, Type: "audit", Payload: audit{OK: true}}
	for _, change := range []func(*job.Periodic){
		func(j *job.Periodic) { j.Type = "unknown" },
		func(j *job.Periodic) { j.Payload = audit{} },
		func(j *job.Periodic) { j.Interval = time.Millisecond },
	} {
		bad := good
		change(&bad)
		_, err := b.cron(bad)
		require.ErrorContains(t, err, "audit")
	}
	_, err := b.cron(good, good)
	require.ErrorContains(t, err, "registered twice")
}
