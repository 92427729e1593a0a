package tasks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/test/cockroach/server"
	"app238.com/inner/test/testdatabase"
)

func TestAcceptIsRetriedOnSerializationFailure(t *testing.T) {
	t.Parallel()
	db, s := testdatabase.New(t).AsCockroachDB(t)
	b := setupOn(t, db)
	accepting := b.acceptor(t)
	s.Script(server.Fault{Statement: "INSERT INTO console_tasks", Code: "40001"}, server.Fault{Statement: "INSERT INTO console_tasks", Code: "40001"})
	id, err := accepting.Accept(t.Context(), "test.note", echo{Key: "k", Text: "again"})
	require.NoError(t, err)
	require.Zero(t, s.Outstanding())
	b.awaitStatus(t, id, store.Finished)
	require.Equal(t, []string{"again"}, b.job.starts())
}
