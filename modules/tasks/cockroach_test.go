package tasks_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/test/cockroach/server"
	"app238.com/inner/test/testdatabase"
)

func TestAcceptIsRetriedOnSerializationFailure(t *testing.T) {
	t.Parallel()
	db, s := testdatabase.New(t).AsCockroachDB(t)
	b := setupOn(t, db)
	accepting := b.acceptor(t)
	s.Script(server.Fault{Statement: "INSERT INTO console_tasks", Code: "40001"},
		server.Fault{Statement: "INSERT INTO console_tasks", Code: "40001"})
	id, err := accepting.Accept(t.Context(), "test.echo", echo{Key: "k", Text: "again"})
	require.NoError(t, err)
	require.Zero(t, s.Outstanding())
	b.awaitStatus(t, id, store.Finished)
	require.Equal(t, []string{"again"}, b.job.starts())
}

func TestAcceptWithAmbiguousCommitRuns(t *testing.T) {
	t.Parallel()
	db, s := testdatabase.New(t).AsCockroachDB(t)
	b := setupOn(t, db)
	accepting := b.acceptor(t)
	s.Script(server.Fault{Statement: "INSERT INTO console_tasks", Code: "40003", Applied: true})
	_, err := accepting.Accept(t.Context(), "test.echo", echo{Key: "k", Text: "ambiguous"})
	require.Error(t, err, "nobody knows whether it was committed")
	require.False(t, database.IsRefused(err), "%v", err)
	require.Eventually(t, func() bool { return len(b.job.starts()) == 1 }, 30*time.Second, 10*time.Millisecond,
		"the task was committed as a claim of this process, and nobody ran it")
}
