package tasks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
)

func TestKeyIsActiveUntilItsLastTaskEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var keys []string
	for status, busy := range map[store.Status]bool{
		store.Pending: true, store.Processing: true, store.Waiting: true,
		store.Finished: false, store.Failed: false, store.Cancelled: false, store.Superseded: false,
	} {
		_, err := b.db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, task_status, ordering_key)
			VALUES ('x', 'finished', $1), ('x', $2, $1)`, string(status), string(status))
		require.NoError(t, err)
		found, err := b.store.ActiveKeys(t.Context(), []string{"other", string(status)})
		require.NoError(t, err)
		require.Equal(t, busy, len(found) == 1, status)
		keys = append(keys, string(status))
	}
	found, err := b.store.ActiveKeys(t.Context(), keys)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"pending", "processing", "waiting"}, found)
}
