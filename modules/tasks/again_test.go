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
	_, err := b.db.ExecContext(t.Context(), `UPDATE console_tasks SET run_at = LOCALTIMESTAMP`) // as if inserted by SQL
	require.NoError(t, err)
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
	_, err = b.store.Return(t.Context(), claims[:1])
	require.NoError(t, err)
	require.Equal(t, map[string]int64{job.DefaultLane: again}, poll().Again)
	require.Empty(t, poll().Lanes)
}

func TestPollFindsRequeuedTasksThatAreDue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.accept(t, "a", "x")
	claims, err := b.store.Claim(t.Context(), "p", job.DefaultLane, 10, 0)
	require.NoError(t, err)
	poll := func() store.PollResult {
		found, err := b.store.Poll(t.Context(), map[string]int64{job.DefaultLane: 0}, []string{job.DefaultLane, "none"}, false)
		require.NoError(t, err)
		require.Empty(t, found.Again)
		require.Empty(t, found.Lanes)
		return found
	}
	require.NoError(t, b.store.Requeue(t.Context(), store.Completion{Claim: claims[0]}, time.Hour))
	require.Empty(t, poll().Requeued, "not due")
	_, err = b.db.ExecContext(t.Context(), `UPDATE console_tasks SET run_at = LOCALTIMESTAMP WHERE id = $1`, id)
	require.NoError(t, err)
	require.Equal(t, []string{job.DefaultLane}, poll().Requeued)
	claims, err = b.store.ClaimRequeued(t.Context(), "p", job.DefaultLane, 10)
	require.NoError(t, err)
	require.Len(t, claims, 1)
	_, err = b.store.Return(t.Context(), claims)
	require.NoError(t, err)
	require.Equal(t, []string{job.DefaultLane}, poll().Requeued, "a claim that no worker started stays among them")
}
