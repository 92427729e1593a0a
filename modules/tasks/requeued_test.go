package tasks_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

func TestAttemptsThatHangDoNotHoldUpNewTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Workers = 2
	gate := make(chan struct{})
	defer close(gate)
	var tried sync.Map
	var hanging atomic.Int32
	b.job.execute = func(ctx context.Context, task job.Task, n echo) error {
		if n.Text == "new" {
			return nil
		}
		if _, again := tried.LoadOrStore(task.ID, true); !again {
			return job.NewSnooze(time.Millisecond, "the engine does not answer")
		}
		hanging.Add(1)
		return waiting(gate)(ctx, task, n)
	}
	b.start(t)
	for i := range 6 {
		b.accept(t, fmt.Sprint("hangs", i), "hangs")
	}
	require.Eventually(t, func() bool { return hanging.Load() > 0 }, 20*time.Second, time.Millisecond)
	for i := range 8 {
		b.awaitStatus(t, b.accept(t, fmt.Sprint("new", i), "new"), store.Finished)
	}
	require.LessOrEqual(t, hanging.Load(), int32(2), "as many as the lane has workers")
}

func TestTasksThatFailTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var ids []int64
	for i := range 4 {
		ids = append(ids, b.accept(t, fmt.Sprint(i), "x"))
	}
	_, err := b.db.ExecContext(t.Context(), `UPDATE console_tasks SET claim_number = 1, run_at = CASE
			WHEN id = $1::BIGINT THEN TIMESTAMP '1970-01-01 00:00:00' ELSE LOCALTIMESTAMP - id * INTERVAL '1 second' END
		WHERE id <> $2::BIGINT`, ids[0], ids[1])
	require.NoError(t, err)
	for _, want := range []int64{ids[3], ids[2]} {
		claims, err := b.store.ClaimRequeued(t.Context(), "p", job.DefaultLane, 1)
		require.NoError(t, err)
		require.Len(t, claims, 1)
		require.Equal(t, want, claims[0].ID)
		require.NoError(t, b.store.Requeue(t.Context(), store.Completion{Claim: claims[0]}, 0))
	}
	claims, err := b.store.ClaimNext(t.Context(), "p", ids[2:]...)
	require.NoError(t, err)
	require.Empty(t, claims, "a request that is repeated offers them again")
	claims, err = b.store.Claim(t.Context(), "p", job.DefaultLane, 10, 0)
	require.NoError(t, err)
	require.Len(t, claims, 2, "one was returned without an attempt, one is new")
	require.Equal(t, []int64{ids[0], ids[1]}, []int64{claims[0].ID, claims[1].ID})
}
