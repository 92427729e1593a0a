package server

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the metrics of the HTTP interface. Times are in seconds.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	open     prometheus.Gauge
	drops    *prometheus.CounterVec
	expiry   prometheus.Gauge
	reloads  prometheus.Counter
}

// NewMetrics registers the metrics with r.
func NewMetrics(r *prometheus.Registry) (*Metrics, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inner_http_requests_total", Help: "Requests answered, by route, method and status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "inner_http_request_duration_seconds", Help: "Time from the header of a request to the end of its answer, by route.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 14),
		}, []string{"route"}),
		inFlight: gauge("inner_http_requests_in_flight", "Requests being received or worked on."),
		open:     gauge("inner_http_connections", "Open connections."),
		drops: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inner_http_connections_dropped_total",
			Help: "Connections closed because all were taken: sending a request, idle, or new where neither was found.",
		}, []string{"state"}),
		expiry: gauge("inner_http_certificate_expiry_timestamp_seconds",
			"Unix time at which the certificate in use ends; 0 without TLS."),
		reloads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "inner_http_certificate_reload_failures_total", Help: "Times that the certificates could not be read again.",
		}),
	}
	for _, state := range []string{stateSending, stateIdle, stateNew} {
		m.drops.WithLabelValues(state) // a rate needs a sample before the first event
	}
	return m, errors.Join(r.Register(m.requests), r.Register(m.duration), r.Register(m.inFlight), r.Register(m.open),
		r.Register(m.drops), r.Register(m.expiry), r.Register(m.reloads))
}

// Middleware measures the requests of a route. Those of monitoring are not counted: it would be seen as the platform's load.
func (m *Metrics) Middleware(route Route, next http.Handler) http.Handler {
	if route.Monitoring {
		return next
	}
	duration := m.duration.WithLabelValues(route.Path)
	for _, status := range []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		m.requests.WithLabelValues(route.Path, route.Method, strconv.Itoa(status)) // a rate needs a sample before the first event
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		rec := record(w)
		m.inFlight.Inc()
		returned := false
		defer func() {
			status := rec.result()
			if !returned { // a panic, which recovery answers
				status = http.StatusInternalServerError
			}
			m.inFlight.Dec()
			duration.Observe(time.Since(begin).Seconds())
			m.requests.WithLabelValues(route.Path, route.Method, strconv.Itoa(status)).Inc()
		}()
		next.ServeHTTP(rec, r)
		returned = true
	})
}

func (m *Metrics) connections(open int) { m.open.Set(float64(open)) }

func (m *Metrics) dropped(state string) { m.drops.WithLabelValues(state).Inc() }

func (m *Metrics) certificate(end time.Time) { m.expiry.Set(float64(end.Unix())) }

func (m *Metrics) reloadFailed() { m.reloads.Inc() }
