// Package metrics holds the process's Prometheus metrics, to which the modules add theirs.
package metrics

import (
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
)

// NewRegistry returns the registry, with the metrics of the Go runtime and the process in it.
func NewRegistry() (*prometheus.Registry, error) {
	r := prometheus.NewRegistry()
	return r, errors.Join(r.Register(collectors.NewGoCollector()),
		r.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})))
}

// Routes returns GET /metrics. What one collector cannot tell, because the database is away, is left out: that is when
// the other metrics are needed most.
func Routes(registry *prometheus.Registry) []server.Route {
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, Registry: registry})
	return []server.Route{{Method: http.MethodGet, Path: "/metrics", Access: config.OperationRoutes, Handler: func(w http.ResponseWriter, r *http.Request) error {
		handler.ServeHTTP(w, r)
		return nil
	}}}
}
