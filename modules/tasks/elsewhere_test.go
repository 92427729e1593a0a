package tasks_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// awaitOffer waits until a task was put off because this process cannot run it.
func (b *bundle) awaitOffer(t *testing.T, id int64, why string) {
	t.Helper()
	var view store.View
	require.Eventually(t, func() bool {
		var err error
		view, err = b.store.View(t.Context(), id)
		require.NoError(t, err)
		return view.Status != store.Processing && view.LastError != ""
	}, patience, 10*time.Millisecond)
	require.Contains(t, view.LastError, why)
	require.Equal(t, store.Pending, view.Status)
}

func TestATaskThatThisProcessCannotRunIsNotPutOffForLongerThanAnythingIs(t *testing.T) {
	t.Parallel()
	b, _ := withVault(t)
	b.withKeys(t, "a")
	id, err := b.queue.AcceptInfo(t.Context(), "test.vault", []byte(`{"key":"k","value":"hidden"}`), "")
	require.NoError(t, err)
	_, err = b.db.ExecContext(t.Context(), `UPDATE console_tasks SET attempts = 12 WHERE id = $1`, id)
	require.NoError(t, err)
	b.withKeys(t, "b")
	stop := b.start(t)
	b.awaitOffer(t, id, "tasks.encryptionKeys")
	stop()
	hastened, err := b.store.Hasten(t.Context(), b.config.Tasks.LongestWait())
	require.NoError(t, err)
	require.Zero(t, hastened, "it counts as held up by a clock that was set back, and is tried each minute")
}

func TestATaskOfATypeThatThisVersionDoesNotKnowWaitsForOneThatDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inserted, err := b.store.Insert(t.Context(), "", []store.NewTask{{Type: "test.new", Lane: job.DefaultLane, Info: []byte(`{"text":"new"}`)}}, nil)
	require.NoError(t, err)
	id := inserted[0].ID
	stop := b.start(t)
	b.awaitOffer(t, id, "no job of this type")
	stop()
	require.NoError(t, b.registry.Add([]job.Definition{job.Define(job.Spec{Type: "test.new"}, b.job)}))
	_, err = b.store.MakeDue(t.Context(), id)
	require.NoError(t, err)
	b.start(t)
	b.awaitStatus(t, id, store.Finished)
}
