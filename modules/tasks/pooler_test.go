package tasks_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/test/stack/pgbouncer"
	"app238.com/inner/test/testdatabase"
)

// pooled is a migrated database behind a PgBouncer.
type pooled struct {
	pooler *pgbouncer.Pooler
	*testdatabase.Database
	direct *testdatabase.Database
}

func pool(t *testing.T, opts pgbouncer.Options) pooled {
	t.Helper()
	direct := testdatabase.New(t)
	address, err := url.Parse(direct.Config.Database.DSN.Reveal())
	require.NoError(t, err)
	opts.Upstream = address.String()
	pooler, err := pgbouncer.Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pooler.Close()) })
	return pooled{pooler: pooler, Database: testdatabase.At(t, pooler.DSN(strings.TrimPrefix(address.Path, "/"))), direct: direct}
}

func TestQueueRunsThroughPgBouncerInSessionMode(t *testing.T) {
	t.Parallel()
	b := setupOn(t, pool(t, pgbouncer.Options{}).Database)
	b.start(t)
	id := b.accept(t, "k", "x")
	b.awaitStatus(t, id, store.Finished)
	require.NoError(t, b.queue.Ready(t.Context()))
}

func TestTransactionPoolingIsNotReadyAndAcceptsNothing(t *testing.T) {
	t.Parallel()
	at := pool(t, pgbouncer.Options{Mode: pgbouncer.Transaction})
	b := setupOn(t, at.Database)
	require.ErrorContains(t, b.queue.Ready(t.Context()), "pool_mode")
	w := b.request(http.MethodPost, "/api/acceptTask", echoRequest)
	require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	var tasks int
	require.NoError(t, at.direct.QueryRowContext(t.Context(), `SELECT count(*) FROM console_tasks`).Scan(&tasks))
	require.Zero(t, tasks)
}

func TestSwitchToTransactionPoolingIsDetected(t *testing.T) {
	t.Parallel()
	at := pool(t, pgbouncer.Options{})
	b := setupOn(t, at.Database)
	b.start(t)
	accept := func() int { return b.request(http.MethodPost, "/api/acceptTask", echoRequest).Code }
	require.Equal(t, http.StatusOK, accept())
	upstream := at.direct.Config.Database.DSN.Reveal()
	require.NoError(t, at.pooler.Reconfigure(pgbouncer.Options{
		Upstream: upstream, Mode: pgbouncer.Transaction, Settings: map[string]string{"server_round_robin": "1"},
	}))
	require.Eventually(t, func() bool { return accept() != http.StatusOK }, timeout, 50*time.Millisecond)
	for range 20 { // none may succeed by chance
		require.Equal(t, http.StatusServiceUnavailable, accept())
	}
	require.ErrorContains(t, b.queue.Ready(t.Context()), "pool_mode")
	require.NoError(t, at.pooler.Reconfigure(pgbouncer.Options{Upstream: upstream}))
	require.Eventually(t, func() bool { return b.queue.Ready(t.Context()) == nil && accept() == http.StatusOK }, timeout,
		50*time.Millisecond)
	var open int
	require.Eventually(t, func() bool {
		require.NoError(t,
			at.direct.QueryRowContext(t.Context(), `SELECT count(*) FROM console_tasks WHERE task_status <> 'finished'`).Scan(&open))
		return open == 0
	}, timeout, 50*time.Millisecond)
}

func TestPgBouncerRestartLosesAndDuplicatesNothing(t *testing.T) {
	t.Parallel()
	const clients, each, restarts = 8, 40, 4
	at := pool(t, pgbouncer.Options{})
	b := setupOn(t, at.Database)
	b.start(t)
	var sent sync.WaitGroup
	for client := range clients {
		sent.Go(func() {
			for n := range each {
				body := fmt.Sprintf(`{"task_type":"test.echo","task_info":{"key":"k%d","text":"%d-%d"}}`, client, client, n)
				for b.request(http.MethodPost, "/api/acceptTask", body, "Idempotency-Key",
					fmt.Sprintf("%d-%d", client, n)).Code != http.StatusOK {
					if t.Context().Err() != nil {
						return
					}
				}
			}
		})
	}
	before := 0
	for range restarts { // each under load
		require.Eventually(t, func() bool { return len(b.job.starts()) >= before+clients }, timeout, time.Millisecond)
		require.NoError(t, at.pooler.Restart(t.Context()))
		before = len(b.job.starts())
	}
	require.Less(t, before, clients*each, "the load ended before the last restart")
	sent.Wait()
	var all, finished int
	require.Eventually(t, func() bool {
		require.NoError(t, at.direct.QueryRowContext(t.Context(),
			`SELECT count(*), count(*) FILTER (WHERE task_status = 'finished') FROM console_tasks`).Scan(&all, &finished))
		return finished == all
	}, timeout, 50*time.Millisecond)
	require.Equal(t, clients*each, all)
}
