package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"app238.com/inner/app/guard"
	"app238.com/inner/modules/tasks/internal/claims"
)

// InFlight collects the number of claimed tasks of this process.
type InFlight struct {
	tracker                           *claims.Tracker
	waiting, oldest, overrun, limited *prometheus.Desc
}

// NewInFlight registers the collector with r.
func NewInFlight(r *prometheus.Registry, t *claims.Tracker) (*InFlight, error) {
	w := &InFlight{
		tracker: t,
		waiting: prometheus.NewDesc("inner_tasks_claimed_waiting",
			"Claimed tasks of this process that no worker has started.", []string{"lane"}, nil),
		oldest: prometheus.NewDesc("inner_tasks_claimed_waiting_oldest_seconds",
			"Time that the oldest claimed task of this process has waited for a worker.", []string{"lane"}, nil),
		limited: prometheus.NewDesc("inner_tasks_accepts_limited",
			"1 while this process accepts no more tasks than half of those it begins, because tasks wait though its workers are idle.",
			[]string{"lane"}, nil),
		overrun: prometheus.NewDesc("inner_tasks_overrun_jobs",
			"Jobs of this process that are still running after they were cancelled.", nil, nil),
	}
	return w, r.Register(guard.Collector(w))
}

// Describe implements prometheus.Collector.
func (w *InFlight) Describe(to chan<- *prometheus.Desc) {
	to <- w.waiting
	to <- w.oldest
	to <- w.overrun
	to <- w.limited
}

// Collect implements prometheus.Collector.
func (w *InFlight) Collect(to chan<- prometheus.Metric) {
	inFlight := w.tracker.InFlight()
	for lane, n := range inFlight.Waiting {
		to <- prometheus.MustNewConstMetric(w.waiting, prometheus.GaugeValue, float64(n), lane)
		to <- prometheus.MustNewConstMetric(w.oldest, prometheus.GaugeValue, inFlight.Oldest[lane].Seconds(), lane)
	}
	for _, name := range w.tracker.LaneNames() {
		limited := 0.0
		if w.tracker.Lane(name).Limited() {
			limited = 1
		}
		to <- prometheus.MustNewConstMetric(w.limited, prometheus.GaugeValue, limited, name)
	}
	to <- prometheus.MustNewConstMetric(w.overrun, prometheus.GaugeValue, float64(inFlight.Overrun))
}
