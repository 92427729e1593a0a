package app_test

import (
	"database/sql"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/collector"
	"app238.com/inner/test/testdatabase"
)

func TestTraceSpansRequestQueueDatabaseCluster(t *testing.T) {
	t.Parallel()
	to := collector.New(t)
	db := testdatabase.New(t)
	db.Config.Tracing.Endpoint = to.URL
	l := newDescription(t).listen(t, db.Config, true)
	const trace = "0123456789abcdef0123456789abcdef"
	status, text := l.send(t, http.MethodPost, "/api/acceptTask", registers, "Traceparent", "00-"+trace+"-0123456789abcdef-01")
	require.Equal(t, http.StatusOK, status, text)
	var parent sql.NullString
	require.NoError(t, db.QueryRowContext(t.Context(),
		`SELECT trace_parent FROM console_tasks WHERE task_type = 'worker.delete_worker_cr'`).Scan(&parent))
	require.Contains(t, parent.String, trace)
	found := map[string]collector.Span{}
	require.Eventually(t, func() bool {
		for _, s := range to.Spans() {
			if s.Trace == trace {
				found[kind(s)] = s
			}
		}
		return len(found) >= 5
	}, timeout, 50*time.Millisecond, "spans of the trace: %v", found)
	require.Equal(t, "0123456789abcdef", found["POST /api/acceptTask"].Parent)
	require.Equal(t, found["POST /api/acceptTask"].ID, found["commit tasks"].Parent)
	require.Equal(t, found["POST /api/acceptTask"].ID, found["task worker.delete_worker_cr"].Parent)
	require.Contains(t, found, "sql")
	require.Contains(t, found, "kubernetes")
}

// kind tells spans of statements and of requests to the cluster from those that have names of their own.
func kind(s collector.Span) string {
	switch {
	case strings.HasPrefix(s.Name, "sql."):
		return "sql"
	case strings.HasPrefix(s.Name, "HTTP "):
		return "kubernetes"
	}
	return s.Name
}

func TestRowHasNoTraceWithoutTracing(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	l := newDescription(t).listen(t, db.Config, false)
	status, text := l.send(t, http.MethodPost, "/api/acceptTask", registers, "Traceparent",
		"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
	require.Equal(t, http.StatusOK, status, text)
	var parent sql.NullString
	require.NoError(t, db.QueryRowContext(t.Context(),
		`SELECT trace_parent FROM console_tasks WHERE task_type = 'worker.delete_worker_cr'`).Scan(&parent))
	require.False(t, parent.Valid)
}
