package tasks_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/test/stack/postgres"
	"app238.com/inner/test/testdatabase"
)

// bounced is a server with a migrated database behind a PgBouncer.
type bounced struct {
	bouncer     *postgres.Bouncer
	dsn, direct string
}

func bounce(t *testing.T, opts postgres.BouncerOptions) bounced {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	server, err := postgres.Start(ctx, postgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	require.NoError(t, server.CreateDatabase(ctx, "inner"))
	bouncer, err := server.Bounce(ctx, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bouncer.Close()) })
	dsn, err := bouncer.DSN("inner")
	require.NoError(t, err)
	return bounced{bouncer: bouncer, dsn: dsn, direct: server.DSN("inner")}
}

func TestAPgBouncerInSessionModeServesTheQueue(t *testing.T) {
	t.Parallel()
	b := setupOn(t, testdatabase.At(t, bounce(t, postgres.BouncerOptions{}).dsn))
	require.NoError(t, database.Migrate(t.Context(), b.db.DB))
	b.start(t)
	id := b.accept(t, "k", "x")
	b.awaitStatus(t, id, store.Finished)
	var zone, limit string
	require.NoError(t, b.db.QueryRowContext(t.Context(),
		`SELECT current_setting('timezone'), current_setting('statement_timeout')`).Scan(&zone, &limit))
	require.Equal(t, []string{"UTC", "15s"}, []string{zone, limit})
	connector, err := database.Connector(b.config)
	require.NoError(t, err)
	require.NoError(t, database.RequireSessions(t.Context(), connector))
	require.NoError(t, b.queue.Ready(t.Context()))
}

func TestAPoolerThatSharesSessionsIsFoundOut(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"transaction", "statement"} {
		for _, size := range []int{1, 20} {
			t.Run(fmt.Sprintf("%s mode, %d", mode, size), func(t *testing.T) {
				t.Parallel()
				c := testdatabase.Config(t, bounce(t, postgres.BouncerOptions{Mode: mode, PoolSize: size}).dsn)
				connector, err := database.Connector(c)
				require.NoError(t, err)
				require.ErrorIs(t, database.RequireSessions(t.Context(), connector), database.ErrPooled)
			})
		}
	}
}

// A PgBouncer whose pool is smaller than Inner's keeps some waiting; they are told so, and none hangs for longer than a
// statement may last.
func TestAPoolThatIsTooSmallEndsInAnAnswer(t *testing.T) {
	t.Parallel()
	at := bounce(t, postgres.BouncerOptions{PoolSize: 2})
	b := setupOn(t, testdatabase.At(t, at.dsn))
	require.NoError(t, database.Migrate(t.Context(), testdatabase.At(t, at.direct).DB))
	b.config.Database.StatementTimeout = 2 * time.Second
	b = setupOn(t, b.db)
	var held []*sql.Conn
	for range 2 {
		conn, err := b.db.Conn(t.Context())
		require.NoError(t, err)
		held = append(held, conn)
	}
	w := b.request(http.MethodPost, "/api/acceptTask", aNote)
	require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.Error(t, b.queue.Ready(t.Context()))
	for _, conn := range held { // back into the pool of Inner, which keeps them
		require.NoError(t, conn.Close())
	}
	require.NoError(t, b.db.DB.Close())
	b.awaitAccept(t)
	require.Eventually(t, func() bool { return b.queue.Ready(t.Context()) == nil }, patience, 50*time.Millisecond)
}

func TestAPgBouncerThatIsRestartedLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	const clients, each, restarts = 8, 40, 4
	at := bounce(t, postgres.BouncerOptions{})
	b := setupOn(t, testdatabase.At(t, at.dsn))
	require.NoError(t, database.Migrate(t.Context(), b.db.DB))
	b.start(t)
	var sent sync.WaitGroup
	for client := range clients {
		sent.Go(func() {
			for n := range each {
				body := fmt.Sprintf(`{"task_type":"test.note","task_info":{"key":"k%d","text":"%d-%d"}}`, client, client, n)
				for b.request(http.MethodPost, "/api/acceptTask", body, "Idempotency-Key", fmt.Sprintf("%d-%d", client, n)).Code != http.StatusOK {
					if t.Context().Err() != nil {
						return
					}
				}
			}
		})
	}
	for range restarts {
		require.NoError(t, at.bouncer.Restart(t.Context()))
	}
	sent.Wait()
	direct := testdatabase.At(t, at.direct)
	var all, finished int
	require.Eventually(t, func() bool {
		require.NoError(t, direct.QueryRowContext(t.Context(),
			`SELECT count(*), count(*) FILTER (WHERE task_status = 'finished') FROM console_tasks`).Scan(&all, &finished))
		return finished == all
	}, patience, 50*time.Millisecond)
	require.Equal(t, clients*each, all)
}
