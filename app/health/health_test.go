package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/health"
	"app238.com/inner/app/server"
)

// get asks one of the routes of a process with checks.
func get(t *testing.T, path string, checks ...server.Check) (status int, body map[string]any) {
	t.Helper()
	for _, route := range health.New(checks, zap.NewNop()).Routes() {
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

	status, body = get(t, "/readyz", check("database", nil, nil), check("controller", errors.New("no process leads"), role))
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, map[string]any{"database": "ok", "controller": "no process leads"}, body["checks"])
	require.Equal(t, []any{"controller"}, body["failing"])
}
