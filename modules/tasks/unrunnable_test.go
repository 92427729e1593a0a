package tasks_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// awaitUnrunnable waits until a task was snoozed because this process cannot run it.
func (b *fixture) awaitUnrunnable(t *testing.T, id int64, why string) {
	t.Helper()
	var view store.View
	require.Eventually(t, func() bool {
		var err error
		view, err = b.store.View(t.Context(), id)
		require.NoError(t, err)
		return view.Status != store.Processing && view.LastError != ""
	}, timeout, 10*time.Millisecond)
	require.Contains(t, view.LastError, why)
	require.Equal(t, store.Pending, view.Status)
}

func TestUnrunnableTaskIsNotSnoozedBeyondTheLimit(t *testing.T) {
	t.Parallel()
	b, _ := setupVault(t)
	b.withKeys(t, "a")
	id, err := b.queue.AcceptInfo(t.Context(), "test.vault", []byte(`{"key":"k","value":"hidden"}`), "")
	require.NoError(t, err)
	_, err = b.db.ExecContext(t.Context(), `UPDATE console_tasks SET claim_number = 12 WHERE id = $1`, id)
	require.NoError(t, err)
	b.withKeys(t, "b")
	stop := b.start(t)
	b.awaitUnrunnable(t, id, "tasks.encryptionKeys")
	stop()
	rescheduled, err := b.store.Reschedule(t.Context(), b.config.Tasks.LongestWait())
	require.NoError(t, err)
	require.Zero(t, rescheduled, "its delay is attributed to a clock step")
}

// insertUnknownType inserts a task of an unknown type.
func (b *fixture) insertUnknownType(t *testing.T) int64 {
	t.Helper()
	inserted, err := b.store.Insert(t.Context(), "",
		[]store.NewTask{{Type: "test.new", Lane: job.DefaultLane, Info: []byte(`{"text":"new"}`)}}, nil)
	require.NoError(t, err)
	return inserted[0].ID
}

func TestTaskOfUnknownTypeKeepsItsAttempts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.insertUnknownType(t)
	stop := b.start(t)
	b.awaitUnrunnable(t, id, "no job of this type")
	stop()
	view, err := b.store.View(t.Context(), id)
	require.NoError(t, err)
	require.Zero(t, view.Attempts)
	require.NoError(t, b.registry.Add([]job.Definition{job.Define(job.Spec{Type: "test.new", Attempts: 1}, b.job)}))
	_, err = b.store.MakeDue(t.Context(), id)
	require.NoError(t, err)
	b.start(t)
	b.awaitStatus(t, id, store.Finished)
}

// setUnrunnableForHours ages a task as if no process could run it for hours.
func (b *fixture) setUnrunnableForHours(t *testing.T, id int64) {
	t.Helper()
	_, err := b.db.ExecContext(t.Context(),
		`UPDATE console_tasks SET claim_number = 100, created_at = created_at - INTERVAL '8 hours' WHERE id = $1`, id)
	require.NoError(t, err)
}

func TestUnrunnableTaskIsDiscardedAfterHours(t *testing.T) {
	t.Parallel()
	b := setup(t)
	young, old := b.insertUnknownType(t), b.insertUnknownType(t)
	_, err := b.db.ExecContext(t.Context(), `UPDATE console_tasks SET claim_number = 100`)
	require.NoError(t, err)
	b.setUnrunnableForHours(t, old)
	b.start(t)
	b.awaitStatus(t, old, store.Failed)
	b.awaitUnrunnable(t, young, "no job of this type")
}
