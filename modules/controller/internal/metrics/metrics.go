// Package metrics holds the controller's Prometheus metrics.
package metrics

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Values of the label "result" of inner_controller_reconciles_total.
const (
	resultError     = "error"
	resultUnchanged = "unchanged"
	resultWritten   = "written"
)

// Metrics are the controller's metrics of one process.
type Metrics struct {
	reconciles *prometheus.CounterVec
	duration   prometheus.Histogram
	active     prometheus.Gauge
	leading    prometheus.Gauge
	depth      prometheus.Gauge
}

// New registers the metrics with r.
func New(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		reconciles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inner_controller_reconciles_total", Help: "Reconciles of WorkerApps, by result.",
		}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "inner_controller_reconcile_duration_seconds", Help: "Duration of the reconcile of a WorkerApp.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 3, 12),
		}),
		active: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "inner_controller_active_workers", Help: "Reconciles in progress.",
		}),
		leading: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "inner_controller_leading", Help: "1 while this process's controller leads, else 0.",
		}),
		depth: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "inner_controller_workqueue_depth", Help: "WorkerApps that wait in the work queue.",
		}),
	}
	for _, result := range []string{resultError, resultUnchanged, resultWritten} {
		m.reconciles.WithLabelValues(result) // a rate needs a sample before the first event
	}
	return m, errors.Join(r.Register(m.reconciles), r.Register(m.duration), r.Register(m.active), r.Register(m.leading),
		r.Register(m.depth))
}

// CountUnmigrated registers a gauge of the workers that unmigrated counts.
func CountUnmigrated(r prometheus.Registerer, unmigrated func() int) error {
	return r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "inner_controller_unmigrated_workers", Help: "Workers still reached by the headless Service of an earlier release.",
	}, func() float64 { return float64(unmigrated()) }))
}

// Started counts a reconcile in progress until Finished.
func (m *Metrics) Started() { m.active.Inc() }

// Finished counts a finished reconcile by its result.
func (m *Metrics) Finished(elapsed time.Duration, written bool, err error) {
	result := resultUnchanged
	switch {
	case err != nil:
		result = resultError
	case written:
		result = resultWritten
	}
	m.active.Dec()
	m.reconciles.WithLabelValues(result).Inc()
	m.duration.Observe(elapsed.Seconds())
}

// SetDepth sets the number of waiting WorkerApps.
func (m *Metrics) SetDepth(n int) { m.depth.Set(float64(n)) }

// SetLeading sets whether this process leads.
func (m *Metrics) SetLeading(leads bool) {
	if leads {
		m.leading.Set(1)
		return
	}
	m.leading.Set(0)
}
