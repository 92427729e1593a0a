package cron_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/job"
)

func TestMixedIntervalsRunNoMoreOftenThanTheShorter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begin := time.Now()
	for _, interval := range []time.Duration{2 * time.Second, 3 * time.Second} {
		c, err := b.cron(job.Periodic{Name: "audit", Interval: interval, Type: "audit", Payload: audit{OK: true}})
		require.NoError(t, err)
		require.NoError(t, c.Start(t.Context()))
		t.Cleanup(func() { require.NoError(t, c.Stop(context.Background())) })
	}
	require.Eventually(t, func() bool {
		b.age(t, 0)
		return time.Since(begin) > 12*time.Second
	}, 20*time.Second, 20*time.Millisecond)
	// One for the current tick, and one every two seconds.
	require.LessOrEqual(t, b.executions(t), 2+int(time.Since(begin)/(2*time.Second)))
	require.Greater(t, b.executions(t), 1)
}
