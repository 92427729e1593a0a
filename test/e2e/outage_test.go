package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAcceptsFailWithoutDatabase(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1")
	w.proxy.Cut()
	for range 5 {
		status, answer := i.post(t, "/api/acceptTask", k.deployTask())
		require.Equal(t, http.StatusServiceUnavailable, status, answer)
		require.NotContains(t, answer, "127.0.0.1", "the driver's own message")
	}
	status, _ := i.get(t, "/health")
	require.Equal(t, http.StatusServiceUnavailable, status)
	status, answer := i.get(t, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, answer, "database")
	status, _ = i.get(t, "/healthz")
	require.Equal(t, http.StatusOK, status)
	require.Zero(t, w.count(t, acceptedTasks))
	w.proxy.Restore()
	i.awaitReady(t)
	i.accept(t, k.deployTask())
	w.awaitState(t, k, "active", "success")
}

func TestStatusesConvergeAfterDatabaseOutage(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	var workers []worker
	for n := range 20 {
		k := w.worker(t, "u1", fmt.Sprintf("w%d", n), "registry.test/slow/app:1")
		workers = append(workers, k)
		i.accept(t, k.deployTask())
	}
	require.Eventually(t, func() bool {
		return w.deployments(t) > 5
	}, timeout, 10*time.Millisecond)
	w.proxy.Cut()
	active := w.count(t, `SELECT count(*) FROM workers WHERE status = 'active'`)
	require.Less(t, active, len(workers), "the outage came too late")
	// Longer than the lease and the takeover, and until the rollouts have ended.
	require.Eventually(t, func() bool { return w.ready(t) > active }, timeout, 100*time.Millisecond)
	require.Never(t, func() bool {
		return w.count(t, `SELECT count(*) FROM workers WHERE status = 'active'`) > active
	}, 4*time.Second, 200*time.Millisecond)
	w.proxy.Restore()
	for _, k := range workers {
		w.awaitState(t, k, "active", "success")
	}
	require.Eventually(t, func() bool {
		return w.count(t, acceptedTasks+` AND task_status = 'finished'`) == len(workers)
	}, timeout, 50*time.Millisecond)
}

func TestInnerStartsWithoutDatabase(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.proxy.Cut()
	i := w.startAnyhow(t)
	status, answer := i.get(t, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, answer, "database")
	w.proxy.Restore()
	i.awaitReady(t)
}

func TestMuteEngineDegradesAndAcceptsGoOn(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t, "INNER_COMBINATOR_RDB_DSN="+mute(t))
	for range 3 {
		began := time.Now()
		status, answer := i.get(t, "/readyz")
		require.Less(t, time.Since(began), 4*time.Second, "the checks have 3 s")
		require.Equal(t, http.StatusOK, status, answer)
		require.Contains(t, answer, `"degraded":["rdb engine"]`)
	}
	status, answer := i.get(t, "/health")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, answer, `"status":"degraded"`)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1")
	i.accept(t, k.deployTask())
	w.awaitState(t, k, "active", "success")
}
