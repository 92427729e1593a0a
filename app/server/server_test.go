package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
	"app238.com/inner/test/metricstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a handler with routes for each behaviour, and its log.
type bundle struct {
	handler  http.Handler
	logged   *observer.ObservedLogs
	registry *prometheus.Registry
}

func setup(t *testing.T) *bundle {
	t.Helper()
	core, logged := observer.New(zap.DebugLevel)
	routes := []server.Route{
		{Method: http.MethodPost, Path: "/echo", Handler: func(w http.ResponseWriter, r *http.Request) error {
			var body struct{ Text string }
			if err := server.ReadJSON(r, &body); err != nil {
				return err
			}
			return server.WriteJSON(w, http.StatusOK, body)
		}},
		{Method: http.MethodGet, Path: "/panic", Handler: func(http.ResponseWriter, *http.Request) error { panic("sk_secret") }},
		{Method: http.MethodGet, Path: "/failure", Handler: func(http.ResponseWriter, *http.Request) error {
			return errors.New("pq: password=hunter2 wrong")
		}},
		{Method: http.MethodGet, Path: "/away", Handler: func(http.ResponseWriter, *http.Request) error {
			return server.Unavailable("the database", errors.New("dial tcp 10.0.0.1"))
		}},
		{Method: http.MethodGet, Path: "/slow", Handler: func(_ http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return r.Context().Err()
		}},
		{Method: http.MethodGet, Path: "/bare", Handler: func(w http.ResponseWriter, _ *http.Request) error {
			_, err := w.Write([]byte("no header was written"))
			return err
		}},
		{Method: http.MethodGet, Path: "/empty", Handler: func(http.ResponseWriter, *http.Request) error { return nil }},
		{Method: http.MethodGet, Path: "/early", Handler: func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusEarlyHints)
			return server.NotFound("nothing")
		}},
		{Method: http.MethodGet, Path: "/scrape", Monitoring: true, Handler: func(w http.ResponseWriter, _ *http.Request) error {
			return server.WriteJSON(w, http.StatusServiceUnavailable, "not ready")
		}},
	}
	c := config.HTTP{BodyLimit: 100, RequestTimeout: 50 * time.Millisecond}
	registry := prometheus.NewRegistry()
	m, err := server.NewMetrics(registry)
	require.NoError(t, err)
	return &bundle{handler: server.NewHandler(c, zap.New(core), routes, m.Middleware), logged: logged, registry: registry}
}

func (b *bundle) send(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

func TestPanicIs500(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.send(http.MethodGet, "/panic", "")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, w.Body.String(), `"error":"internal error`)
	require.NotContains(t, b.text(), "sk_secret")
	require.Equal(t, http.StatusOK, b.send(http.MethodPost, "/echo", `{"Text":"x"}`).Code)
}

func TestErrorsAreGenericWithRequestID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.send(http.MethodGet, "/failure", "", server.RequestIDHeader, "abc-1")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.JSONEq(t, `{"error":"internal error (request abc-1)"}`, w.Body.String())
	require.Equal(t, "abc-1", w.Header().Get(server.RequestIDHeader))
	require.Contains(t, b.text(), "abc-1")
	require.NotContains(t, b.text(), "hunter2")
	away := b.send(http.MethodGet, "/away", "", server.RequestIDHeader, "abc-2")
	require.Equal(t, http.StatusServiceUnavailable, away.Code)
	require.Contains(t, away.Body.String(), "(request abc-2)")
	require.Contains(t, b.text(), "abc-2")
	require.NotEmpty(t, away.Header().Get("Retry-After"))
	require.NotContains(t, away.Body.String(), "10.0.0.1")
}

func TestSlowHandlerTimesOut(t *testing.T) {
	t.Parallel()
	w := setup(t).send(http.MethodGet, "/slow", "", server.RequestIDHeader, "abc-3")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.JSONEq(t, `{"error":"the request took too long (request abc-3)"}`, w.Body.String())
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
}

func TestInvalidRequestIDIsReplaced(t *testing.T) {
	t.Parallel()
	got := setup(t).send(http.MethodGet, "/failure", "", server.RequestIDHeader, "a b\"c").Header().Get(server.RequestIDHeader)
	require.Regexp(t, `^[A-Z0-9]{20,}$`, got)
}

func TestAccessLogHasNoBodyAndQuery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.send(http.MethodPost, "/echo?token=QUERYMARK", `{"Text":"BODYMARK"}`)
	require.Equal(t, 1, b.logged.FilterMessage("request").Len())
	require.NotContains(t, b.text(), "MARK")
}

func TestLogAndMetricsHaveTheSentStatus(t *testing.T) {
	t.Parallel()
	for path, status := range map[string]int{
		"/bare": 200, "/empty": 200, "/early": 404, "/failure": 500, "/panic": 500, "/away": 503,
	} {
		b := setup(t)
		b.send(http.MethodGet, path, "")
		lines := b.logged.FilterMessage("request").All()
		require.Len(t, lines, 1, path)
		require.EqualValues(t, status, lines[0].ContextMap()["status"], path)
		counted := metricstest.Values(t, b.registry)
		require.InDelta(t, 1, counted[fmt.Sprintf("inner_http_requests_total/GET/%s/%d", path, status)], 0, "%s: %v", path, counted)
	}
}

func TestRequestsOfMonitoringAreNeitherCountedNorLoggedAtLevelInfo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusServiceUnavailable, b.send(http.MethodGet, "/scrape", "").Code)
	lines := b.logged.FilterMessage("request").All()
	require.Len(t, lines, 1)
	require.Equal(t, zap.DebugLevel, lines[0].Level)
	for name := range metricstest.Values(t, b.registry) {
		require.NotContains(t, name, "/scrape")
	}
}

func TestBodiesAreLimitedAndChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, http.StatusRequestEntityTooLarge, b.send(http.MethodPost, "/echo", strings.Repeat("x", 101)).Code)
	require.Equal(t, http.StatusUnsupportedMediaType, b.send(http.MethodPost, "/echo", `{}`, "Content-Type", "text/xml").Code)
	require.Equal(t, http.StatusOK, b.send(http.MethodPost, "/echo", `{}`, "Content-Type", "application/json; charset=utf-8").Code)
	require.Equal(t, http.StatusBadRequest, b.send(http.MethodPost, "/echo", `{} {}`).Code)
	require.JSONEq(t, `{"error":"Text: must be a string, not array"}`, b.send(http.MethodPost, "/echo", `{"Text":[]}`).Body.String())
}

func TestUnknownRoutesAndMethodsAnswerInJSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.JSONEq(t, `{"error":"no such route"}`, b.send(http.MethodGet, "/nothing", "").Body.String())
	w := b.send(http.MethodDelete, "/echo", "")
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.JSONEq(t, `{"error":"method not allowed"}`, w.Body.String())
}

func TestServerListensServesAndStops(t *testing.T) {
	t.Parallel()
	r := running(t, config.HTTP{})
	require.Equal(t, http.StatusOK, r.get(t, "/here"))
	require.NoError(t, r.server.Stop(context.Background()))
	r.client.CloseIdleConnections()
	_, err := r.client.Get(r.url + "/here")
	require.Error(t, err)
}

// text is everything that was logged.
func (b *bundle) text() string {
	var all strings.Builder
	for _, entry := range b.logged.All() {
		all.WriteString(entry.Message)
		for _, field := range entry.Context {
			all.WriteString(" " + field.Key + "=" + field.String)
		}
	}
	return all.String()
}
