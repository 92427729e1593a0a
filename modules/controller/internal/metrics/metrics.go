// Package metrics holds the controller's Prometheus metrics.
package metrics

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Results of a look, the values of the label "result" of inner_controller_reconciles_total.
const (
	failed    = "error"
	unchanged = "unchanged"
	written   = "written"
)

// Metrics are those of one process.
type Metrics struct {
	reconciles *prometheus.CounterVec
	seconds    prometheus.Histogram
	busy       prometheus.Gauge
	leading    prometheus.Gauge
	waiting    prometheus.Gauge
}

// New registers the metrics with r.
func New(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		reconciles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inner_controller_reconciles_total", Help: "Looks at a WorkerApp and its objects.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "inner_controller_reconcile_seconds", Help: "Time of a look at a WorkerApp.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 3, 12),
		}),
		busy: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "inner_controller_busy", Help: "Looks under way.",
		}),
		leading: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "inner_controller_leading", Help: "1 while this process's controller leads, else 0.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "inner_controller_waiting", Help: "WorkerApps that wait for a look.",
		}),
	}
	return m, errors.Join(r.Register(m.reconciles), r.Register(m.seconds), r.Register(m.busy), r.Register(m.leading), r.Register(m.waiting))
}

// Moving registers the number of workers that unmoved counts.
func Moving(r prometheus.Registerer, unmoved func() int) error {
	return r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "inner_controller_unmoved_workers", Help: "Workers still reached by the headless Service of an earlier release.",
	}, func() float64 { return float64(unmoved()) }))
}

// Looking notes that a look begins; Looked ends it.
func (m *Metrics) Looking() { m.busy.Inc() }

// Looked counts one look.
func (m *Metrics) Looked(took time.Duration, wrote bool, err error) {
	result := unchanged
	switch {
	case err != nil:
		result = failed
	case wrote:
		result = written
	}
	m.busy.Dec()
	m.reconciles.WithLabelValues(result).Inc()
	m.seconds.Observe(took.Seconds())
}

// Waiting notes how many WorkerApps wait.
func (m *Metrics) Waiting(n int) { m.waiting.Set(float64(n)) }

// Leading notes whether this process leads.
func (m *Metrics) Leading(leads bool) {
	if leads {
		m.leading.Set(1)
		return
	}
	m.leading.Set(0)
}
