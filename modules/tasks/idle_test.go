package tasks_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/modules/tasks/internal/cron"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

func TestIdleProcessPollsAllLanesInOneStatement(t *testing.T) {
	t.Parallel()
	b, p := setupBehindProxy(t)
	b.config.Tasks.PollInterval = 10 * time.Millisecond
	b.start(t)
	const claims, polls = "SET task_status = 'processing'", "AS l(lane, lowest)"
	require.Eventually(t, func() bool { return p.Sent(polls) >= 50 }, 20*time.Second, 5*time.Millisecond)
	// At its start, and once it has its lease, a process claims without polling.
	require.LessOrEqual(t, p.Sent(claims), 3*len(b.config.Tasks.WorkersOfLanes()))
	// A task without a notification is found by the next poll.
	id := b.accept(t, "k", "x")
	b.awaitStatus(t, id, store.Finished)
}

func TestCronRarelyQueriesBetweenTicks(t *testing.T) {
	t.Parallel()
	b, p := setupBehindProxy(t)
	var jobs []job.Periodic
	for _, name := range []string{"one", "two", "three"} {
		jobs = append(jobs,
			job.Periodic{Name: name, Interval: 1_000_000 * time.Hour, Type: "test.echo", Payload: echo{Key: name, Text: "x"}})
	}
	c, err := cron.New(cron.Params{Config: b.config, Log: zap.NewNop(), Registry: b.registry, Store: b.store, Queue: b.queue,
		Jobs: jobs})
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, c.Stop(context.Background())) })
	require.Eventually(t, func() bool { return b.count(t, `true`) == len(jobs) }, 20*time.Second, 5*time.Millisecond)
	require.Never(t, func() bool { return p.Sent("FROM inner_ticks") > 2*len(jobs) }, 3*time.Second, 100*time.Millisecond)
}
