package tracing_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/server"
	"app238.com/inner/app/tracing"
	"app238.com/inner/test/collector"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begun is a tracing whose spans go to a collector of the test's own.
type begun struct {
	*tracing.Tracing
	collector *collector.Collector
}

func setup(t testing.TB, ratio float64) begun {
	t.Helper()
	c := collector.New(t)
	made, err := tracing.New(&config.Config{Tracing: config.Tracing{Endpoint: c.URL, Ratio: ratio, Timeout: time.Second}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, made.Stop(context.Background())) })
	return begun{made, c}
}

// sent ends the tracing and returns all spans by name.
func (b begun) sent(t *testing.T) map[string]collector.Span {
	t.Helper()
	require.NoError(t, b.Stop(t.Context()))
	spans := map[string]collector.Span{}
	for _, s := range b.collector.Spans() {
		spans[s.Name] = s
	}
	return spans
}

// request sends a request through the layer to a handler.
func (b begun) request(t *testing.T, route server.Route, traceparent string, handle func(ctx context.Context)) {
	t.Helper()
	handler := b.Middleware()(route, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { handle(r.Context()) }))
	r := httptest.NewRequest(route.Method, route.Path, http.NoBody)
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
	}
	handler.ServeHTTP(httptest.NewRecorder(), r)
}

var accept = server.Route{Method: http.MethodPost, Path: "/api/acceptTask"}

func TestDisabledTracingWrapsNothing(t *testing.T) {
	t.Parallel()
	off, err := tracing.New(&config.Config{})
	require.NoError(t, err)
	require.Nil(t, off)
	require.Nil(t, off.Middleware())
	require.Nil(t, off.Transport())
	connector, err := database.Connector(&config.Config{Database: config.Database{DSN: "postgres://x@127.0.0.1:1/x"}})
	require.NoError(t, err)
	same, err := off.Connector(connector)
	require.NoError(t, err)
	require.Equal(t, connector, same)
	ctx, end := off.Continue(t.Context(), "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01", "x", 1, 1)
	end(nil)
	require.Equal(t, t.Context(), ctx)
	require.Empty(t, off.Parent(t.Context()))
	require.NoError(t, off.Stop(t.Context()))
}

func TestTaskContinuesTraceOfRequest(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	var parent string
	b.request(t, accept, "", func(ctx context.Context) { parent = b.Parent(ctx) })
	require.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`, parent)
	_, end := b.Continue(t.Context(), parent, "x", 7, 2)
	end(errors.New("password=hunter2 wrong"))
	spans := b.sent(t)
	request, task := spans["POST /api/acceptTask"], spans["task x"]
	require.Equal(t, request.Trace, task.Trace)
	require.Equal(t, request.ID, task.Parent)
	require.True(t, task.Failed)
	require.NotContains(t, task.Text, "hunter2")
}

func TestClientTraceIsContinued(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	const sampled, left = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
		"00-11111111111111111111111111111111-1111111111111111-00"
	b.request(t, accept, sampled, func(ctx context.Context) { require.NotEmpty(t, b.Parent(ctx)) })
	b.request(t, accept, left, func(ctx context.Context) { require.Empty(t, b.Parent(ctx)) })
	b.request(t, accept, "", func(ctx context.Context) { require.Empty(t, b.Parent(ctx), "the ratio is 0") })
	b.request(t, server.Route{Method: http.MethodGet, Path: "/healthz", Monitoring: true}, sampled, func(ctx context.Context) {
		require.Empty(t, b.Parent(ctx), "probes are not traced")
	})
	spans := b.sent(t)
	require.Len(t, spans, 1)
	require.Equal(t, "0123456789abcdef", spans["POST /api/acceptTask"].Parent)
}

func TestSharedCommitLinksOtherTraces(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	b.request(t, accept, "", func(first context.Context) {
		b.request(t, server.Route{Method: http.MethodPost, Path: "/other"}, "", func(second context.Context) {
			_, end := b.Shared(second, "commit", slices.Values([]tracing.Request{{}, b.RequestOf(first), b.RequestOf(second)}))
			end(nil)
		})
	})
	spans := b.sent(t)
	require.Equal(t, spans["POST /api/acceptTask"].ID, spans["commit"].Parent)
	require.Contains(t, spans["commit"].Text, "links:")
}

func TestMalformedTraceInRowIsIgnored(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	_, end := b.Continue(t.Context(), "00-zz", "x", 7, 1)
	end(nil)
	require.Empty(t, b.sent(t)["task x"].Parent)
}

func TestUnreachableCollectorDelaysNobody(t *testing.T) {
	t.Parallel()
	away, err := tracing.New(&config.Config{Tracing: config.Tracing{Endpoint: "http://127.0.0.1:1", Ratio: 1,
		Timeout: 100 * time.Millisecond}})
	require.NoError(t, err)
	begun{Tracing: away}.request(t, accept, "", func(context.Context) {})
	require.NoError(t, away.Stop(t.Context()))
}

func TestSharedWorkOfUntracedRequestsIsUntraced(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	b.request(t, accept, "", func(ctx context.Context) {
		// The work runs in the context of one that came earlier.
		shared, end := b.Shared(ctx, "commit", slices.Values([]tracing.Request{{}, {}}))
		end(nil)
		require.Empty(t, b.Parent(shared))
	})
	require.NotContains(t, b.sent(t), "commit")
}

// BenchmarkOff is what a task pays for tracing from its request to its end where it is off.
func BenchmarkOff(b *testing.B) {
	var off *tracing.Tracing
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		request := off.RequestOf(ctx)
		parent := off.Parent(ctx)
		_, committed := off.Shared(ctx, "commit", func(yield func(tracing.Request) bool) { yield(request) })
		committed(nil)
		_, ended := off.Continue(ctx, parent, "test", 1, 1)
		ended(nil)
	}
}
