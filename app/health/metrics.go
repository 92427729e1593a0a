package health

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"app238.com/inner/app/guard"
)

// collector exposes the results of the checks. A scrape runs them.
type collector struct {
	health *Health
	ok     *prometheus.Desc
}

// Register registers the metric of the checks with r.
func Register(r *prometheus.Registry, h *Health) error {
	return r.Register(guard.Collector(&collector{health: h, ok: prometheus.NewDesc("inner_ready",
		"1 if this check of /readyz passes, else 0.", []string{"check"}, nil)}))
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) { to <- c.ok }

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	results, failing := c.health.runChecks(context.Background())
	for _, name := range failing {
		to <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 0, name)
		delete(results, name)
	}
	for name := range results {
		to <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 1, name)
	}
}
