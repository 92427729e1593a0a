// Package metrics holds the registry of the process's Prometheus metrics and serves it.
package metrics

import (
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/app/server"
)

// NewRegistry returns the registry, with the metrics of the Go runtime and the process in it.
func NewRegistry() (*prometheus.Registry, error) {
	r := prometheus.NewRegistry()
	return r, errors.Join(r.Register(collectors.NewGoCollector()),
		r.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})))
}

// Server serves GET /metrics on http.metricsListen.
type Server struct{ *server.Auxiliary }

// NewServer returns a server of the routes that listens once started, unless http.metricsListen is empty.
func NewServer(c *config.Config, log *zap.Logger, routes []server.Route) *Server {
	settings := c.HTTP
	settings.TLS = config.TLS{}
	handler := server.NewHandler(settings, log.Named("http"), routes)
	return &Server{server.NewAuxiliary("http.metricsListen", settings.MetricsListen, server.NewHTTP(settings, handler), log)}
}

// Routes returns GET /metrics. Metrics whose collector fails, as when the database is unavailable, are left out: the others are
// needed most then. Panics of collectors are logged.
func Routes(registry *prometheus.Registry, log *zap.Logger) []server.Route {
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, Registry: registry, ErrorLog: panicLogger{log.Named("http")},
	})
	return []server.Route{{Method: http.MethodGet, Path: "/metrics", Access: config.OperationRoutes, Monitoring: true,
		Handler: func(w http.ResponseWriter, r *http.Request) error {
			handler.ServeHTTP(w, r)
			return nil
		}}}
}

// panicLogger logs panics of collectors and drops other errors: an unavailable database is logged elsewhere.
type panicLogger struct{ log *zap.Logger }

// Println implements promhttp.Logger.
func (p panicLogger) Println(values ...any) {
	for _, one := range values {
		failures, several := one.(prometheus.MultiError)
		if err, ok := one.(error); ok && !several {
			failures = prometheus.MultiError{err}
		}
		for _, err := range failures {
			if _, ok := errors.AsType[*guard.PanicError](err); ok {
				p.log.Error("metrics collector panicked", logging.Error(err))
			}
		}
	}
}
