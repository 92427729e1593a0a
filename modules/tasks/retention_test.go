package tasks_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/metrics"
	"app238.com/inner/app/server"
	queuemetrics "app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/retention"
)

func TestOnlyExpiredEndedTasksAreDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Retention = config.Retention{Finished: 7 * 24 * time.Hour, Failed: 30 * 24 * time.Hour, Interval: time.Hour}
	// An earlier release did not write finished_at.
	_, err := b.db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, task_status, created_at)
		VALUES ('y', 'error', LOCALTIMESTAMP - INTERVAL '31 days'), ('y', 'finished', LOCALTIMESTAMP - INTERVAL '8 days')`)
	require.NoError(t, err)
	_, err = b.db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, task_status, created_at, finished_at)
		SELECT 'x', s.status, LOCALTIMESTAMP - d.days * INTERVAL '1 day', LOCALTIMESTAMP - d.days * INTERVAL '1 day'
		FROM (VALUES ('finished'), ('superseded'), ('cancelled'), ('error'), ('pending'), ('waiting')) AS s(status),
			(VALUES (1), (8), (31)) AS d(days), generate_series(1, 300) AS i ORDER BY d.days DESC`)
	require.NoError(t, err)
	_, err = b.db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, task_status) VALUES ('y', 'finished')`)
	require.NoError(t, err)
	deleted, err := retention.New(b.config, zap.NewNop(), b.store).DeleteExpired(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3*2*300+300+2, deleted)
	require.Equal(t, 1, b.count(t, `task_type = 'y'`))
	require.Zero(t,
		b.count(t, `task_status IN ('finished', 'superseded', 'cancelled') AND finished_at < LOCALTIMESTAMP - INTERVAL '7 days'`))
	require.Equal(t, 600, b.count(t, `task_status = 'error'`))
	require.Equal(t, 1800, b.count(t, `task_status IN ('pending', 'waiting')`))
}

func TestRetentionScanPassesFutureRowsOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Retention = config.Retention{Finished: time.Hour, Failed: time.Hour, Interval: time.Hour}
	for _, part := range []struct {
		minutes, tasks int
	}{{+90, 700}, {-90, 700}, {-30, 600}, {-90, 1}} {
		_, err := b.db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, task_status, created_at, finished_at)
			SELECT 'x', 'finished', LOCALTIMESTAMP + d.minutes * INTERVAL '1 minute', LOCALTIMESTAMP + d.minutes * INTERVAL '1 minute'
			FROM (SELECT $1::INT AS minutes) AS d, generate_series(1, $2::INT) AS i`, part.minutes, part.tasks)
		require.NoError(t, err)
	}
	deleted, err := retention.New(b.config, zap.NewNop(), b.store).DeleteExpired(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 700, deleted)
}

func TestMetricsAreExposed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	registry, err := metrics.NewRegistry()
	require.NoError(t, err)
	_, err = queuemetrics.New(registry)
	require.NoError(t, err)
	_, err = queuemetrics.NewDepth(registry, b.store)
	require.NoError(t, err)
	b.accept(t, "k", "x")
	b.handler = server.NewHandler(b.config.HTTP, zap.NewNop(), metrics.Routes(registry, zap.NewNop()))
	w := b.request(http.MethodGet, "/metrics", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), `inner_tasks_pending{lane="default"} 1`)
	require.Contains(t, w.Body.String(), `inner_tasks_oldest_pending_seconds{lane="default"}`)
	require.Contains(t, w.Body.String(), "go_goroutines")
	require.Contains(t, w.Header().Get("Content-Type"), "text/plain")
}
