package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/health"
	"app238.com/inner/app/server"
	"app238.com/inner/test/metricstest"
)

// get asks one of the routes of a process with checks.
func get(t *testing.T, path string, checks ...server.Check) (status int, body map[string]any) {
	t.Helper()
	for _, route := range health.New(checks, "v1", zap.NewNop()).Routes() {
		if route.Path == path {
			w := httptest.NewRecorder()
			require.NoError(t, route.Handler(w, httptest.NewRequest(http.MethodGet, path, nil)))
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
			return w.Code, body
		}
	}
	require.Fail(t, "no such route", path)
	return 0, nil
}

func check(name string, err error, role func() string) server.Check {
	return server.Check{Name: name, Ready: func(context.Context) error { return err }, Role: role}
}

func TestReadyCheckShowsItsRole(t *testing.T) {
	t.Parallel()
	role := func() string { return "standing by; leader: other" }
	status, body := get(t, "/readyz", check("database", nil, nil), check("controller", nil, role))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, map[string]any{"database": "ok", "controller": "standing by; leader: other"}, body["checks"])

	failing := check("controller", errors.New("no process leads"), role)
	status, body = get(t, "/readyz", check("database", nil, nil), failing)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, map[string]any{"database": "ok", "controller": "no process leads"}, body["checks"])
	require.Equal(t, []any{"controller"}, body["failing"])
}

func TestDegradedProcessIsReady(t *testing.T) {
	t.Parallel()
	engine := check("rdb engine", errors.New("does not answer"), nil)
	engine.Degrades = true
	status, body := get(t, "/readyz", check("database", nil, nil), engine)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, map[string]any{
		"status": "ready", "checks": map[string]any{"database": "ok", "rdb engine": "does not answer"},
		"failing": []any{}, "degraded": []any{"rdb engine"},
	}, body)
	status, body = get(t, "/health", check("database", nil, nil), engine)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "degraded", body["status"])
	require.Equal(t, "v1", body["version"])
	require.Equal(t, "does not answer", body["rdb engine"])
}

func TestMetricsDistinguishFailingFromDegradedChecks(t *testing.T) {
	t.Parallel()
	broken, fine := check("accepts", errors.New("broken"), nil), check("kv", nil, nil)
	engine := check("rdb engine", errors.New("away"), nil)
	engine.Degrades, fine.Degrades = true, true
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, health.Register(registry,
		health.New([]server.Check{check("database", nil, nil), broken, engine, fine}, "v1", zap.NewNop())))
	require.Equal(t, map[string]float64{
		"inner_ready/database": 1, "inner_ready/accepts": 0, "inner_degraded/rdb engine": 1, "inner_degraded/kv": 0,
	}, metricstest.Values(t, registry))
}

func TestCheckThatIgnoresItsDeadlineIsBoundedAndRunsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		release := make(chan struct{})
		mute := server.Check{Name: "engine", Degrades: true, Ready: func(context.Context) error {
			runs.Add(1)
			<-release
			return nil
		}}
		polite := server.Check{Name: "other", Degrades: true, Ready: func(ctx context.Context) error {
			<-ctx.Done()
			return errors.New("a reason of its own")
		}}
		h := health.New([]server.Check{mute, polite}, "v1", zap.NewNop())
		for range 3 {
			began := time.Now()
			w := httptest.NewRecorder()
			require.NoError(t, h.Routes()[2].Handler(w, httptest.NewRequest(http.MethodGet, "/readyz", nil)))
			require.Equal(t, http.StatusOK, w.Code)
			require.Contains(t, w.Body.String(), `"engine":"no answer within 3s","other":"a reason of its own"`)
			require.Equal(t, 3*time.Second, time.Since(began))
		}
		require.EqualValues(t, 1, runs.Load())
		close(release)
		synctest.Wait()
		w := httptest.NewRecorder()
		require.NoError(t, h.Routes()[2].Handler(w, httptest.NewRequest(http.MethodGet, "/readyz", nil)))
		require.Contains(t, w.Body.String(), `"engine":"ok"`)
		require.EqualValues(t, 2, runs.Load())
	})
}

func TestRequestThatEndsDoesNotFailTheCheckOfOthers(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	database := server.Check{Name: "database", Ready: func(ctx context.Context) error { return ctx.Err() }}
	h := health.New([]server.Check{database}, "v1", zap.NewNop())
	w := httptest.NewRecorder()
	require.NoError(t, h.Routes()[2].Handler(w, httptest.NewRequest(http.MethodGet, "/readyz", nil).WithContext(ended)))
	require.Equal(t, http.StatusOK, w.Code)
}
