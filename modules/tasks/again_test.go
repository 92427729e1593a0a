package tasks_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

func TestPollFindsTasksPendingAgainBelowLowestID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	again := b.accept(t, "a", "x")
	b.accept(t, "b", "x")
	claims, err := b.store.Claim(t.Context(), "p", job.DefaultLane, 10, 0)
	require.NoError(t, err)
	require.Len(t, claims, 2)
	b.accept(t, "c", "never claimed")
	lowest := map[string]int64{job.DefaultLane: math.MaxInt64}
	poll := func() store.PollResult {
		found, err := b.store.Poll(t.Context(), lowest, []string{job.DefaultLane, "none"}, false)
		require.NoError(t, err)
		return found
	}
	require.Empty(t, poll().Again)
	require.NoError(t, b.store.Requeue(t.Context(), store.Completion{Claim: claims[0]}, time.Hour))
	require.Empty(t, poll().Again, "not due")
	_, err = b.db.ExecContext(t.Context(), `UPDATE console_tasks SET run_at = LOCALTIMESTAMP WHERE id = $1`, again)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{job.DefaultLane: again}, poll().Again)
	require.Empty(t, poll().Lanes)
}
