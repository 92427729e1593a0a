package metrics_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/metrics"
)

type panicking struct{ described *prometheus.Desc }

func (p panicking) Describe(to chan<- *prometheus.Desc) { to <- p.described }
func (p panicking) Collect(chan<- prometheus.Metric)    { panic("broken") }

func TestCollectorPanicIsLogged(t *testing.T) {
	t.Parallel()
	r, err := metrics.NewRegistry()
	require.NoError(t, err)
	for _, name := range []string{"one", "other"} {
		require.NoError(t, r.Register(guard.Collector(panicking{prometheus.NewDesc(name, "", nil, nil)})))
	}
	core, logged := observer.New(zap.InfoLevel)
	w := httptest.NewRecorder()
	require.NoError(t, metrics.Routes(r, zap.New(core))[0].Handler(w, httptest.NewRequest(http.MethodGet, "/metrics", nil)))
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), "go_goroutines")
	require.Equal(t, 2, logged.Len())
	for _, line := range logged.All() {
		require.Contains(t, fmt.Sprint(line.ContextMap()["error"]), "broken")
	}
}

func TestSeparateAddressServesMetricsAlone(t *testing.T) {
	t.Parallel()
	r, err := metrics.NewRegistry()
	require.NoError(t, err)
	c := &config.Config{HTTP: config.HTTP{
		MetricsListen: "127.0.0.1:0", MaxRequests: 10, BodyMemory: 1 << 20, BodyLimit: 1 << 10, RequestTimeout: time.Minute,
		TLS: config.TLS{Certificate: "of the other address", Key: "of the other address", ClientCA: "of the other address"},
	}}
	s := metrics.NewServer(c, zap.NewNop(), metrics.Routes(r, zap.NewNop()))
	require.NoError(t, s.Start(t.Context()))
	client := &http.Client{Transport: &http.Transport{}}
	get := func(path string) (int, string) {
		answer, err := client.Get("http://" + s.Address() + path)
		require.NoError(t, err)
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode, string(text)
	}
	status, text := get("/metrics")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, "go_goroutines")
	status, _ = get("/healthz")
	require.Equal(t, http.StatusNotFound, status)
	client.CloseIdleConnections()
	require.NoError(t, s.Stop(t.Context()))
}
