package cron_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/job"
)

// setBack inserts the ticks of the coming hour, as if the database's clock had been set back by an hour.
func (b *fixture) setBack(t *testing.T) {
	t.Helper()
	_, err := b.db.ExecContext(t.Context(), `INSERT INTO inner_ticks (name, tick, task_id, created_at)
		SELECT 'audit', CAST(floor(EXTRACT(EPOCH FROM now())) AS BIGINT) + i, 0, LOCALTIMESTAMP + i * INTERVAL '1 second'
		FROM generate_series(0, 3600) AS i`)
	require.NoError(t, err)
}

func TestPeriodicJobRunsAfterClockIsSetBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.setBack(t)
	begin := time.Now()
	for range 3 {
		c, err := b.cron(job.Periodic{Name: "audit", Interval: time.Second, Type: "audit", Payload: audit{OK: true}})
		require.NoError(t, err)
		require.NoError(t, c.Start(t.Context()))
		t.Cleanup(func() { require.NoError(t, c.Stop(context.Background())) })
	}
	for n := 1; n <= 3; n++ {
		require.Eventually(t, func() bool { return b.executions(t) >= n }, 20*time.Second, 10*time.Millisecond, "execution %d", n)
		b.age(t, 0)
	}
	require.LessOrEqual(t, b.executions(t), int(time.Since(begin)/time.Second), "no more often than without a clock step")
}
