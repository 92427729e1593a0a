// Package metrics holds the Prometheus metrics of workers.
package metrics

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Results of a rollout, the values of the label "result" of inner_worker_rollouts_total.
const (
	Running = "running"
	Failed  = "failed"
	// Broke: a version failed after it had succeeded.
	Broke = "broke"
)

// Metrics are the counters of one process.
type Metrics struct {
	// Rollouts counts ended rollouts by result, Restores the queued restores of the active version.
	Rollouts *prometheus.CounterVec
	Restores prometheus.Counter
}

// New registers the metrics with r.
func New(r *prometheus.Registry) (*Metrics, error) {
	m := &Metrics{
		Rollouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inner_worker_rollouts_total", Help: "Rollouts of workers whose end was written to their rows.",
		}, []string{"result"}),
		Restores: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "inner_worker_restores_total", Help: "Times that a failed rollout had the version before restored.",
		}),
	}
	for _, result := range []string{Running, Failed, Broke} {
		m.Rollouts.WithLabelValues(result) // a rate needs a sample before the first event
	}
	return m, errors.Join(r.Register(m.Rollouts), r.Register(m.Restores))
}
