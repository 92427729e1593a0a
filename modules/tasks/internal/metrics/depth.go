package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"app238.com/inner/app/guard"
	"app238.com/inner/modules/tasks/internal/store"
)

// depthTimeout limits the query of a scrape.
const depthTimeout = 2 * time.Second

// Depth collects the number of pending tasks in the database, over all processes, by lane.
type Depth struct {
	store           *store.Store
	pending, oldest *prometheus.Desc
}

// NewDepth registers the collector with r.
func NewDepth(r *prometheus.Registry, s *store.Store) (*Depth, error) {
	d := &Depth{
		store:   s,
		pending: prometheus.NewDesc("inner_tasks_pending", "Pending tasks in the database.", []string{"lane"}, nil),
		oldest:  prometheus.NewDesc("inner_tasks_oldest_pending_seconds", "Age of the oldest pending task.", []string{"lane"}, nil),
	}
	return d, r.Register(guard.Collector(d))
}

// Describe implements prometheus.Collector.
func (d *Depth) Describe(to chan<- *prometheus.Desc) {
	to <- d.pending
	to <- d.oldest
}

// Collect implements prometheus.Collector. If the database does not answer there are no values.
func (d *Depth) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), depthTimeout)
	defer cancel()
	depths, err := d.store.Depths(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(d.pending, err)
		return
	}
	for _, depth := range depths {
		to <- prometheus.MustNewConstMetric(d.pending, prometheus.GaugeValue, float64(depth.Pending), depth.Lane)
		to <- prometheus.MustNewConstMetric(d.oldest, prometheus.GaugeValue, depth.OldestSeconds, depth.Lane)
	}
}
