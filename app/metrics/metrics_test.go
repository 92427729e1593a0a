package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

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
