package health

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"app238.com/inner/app/guard"
)

// collector shows what the checks say. A scrape asks them, within the time of a check.
type collector struct {
	health *Health
	ok     *prometheus.Desc
}

// Register adds the checks to the metrics of r.
func Register(r *prometheus.Registry, h *Health) error {
	return r.Register(guard.Collector(&collector{health: h, ok: prometheus.NewDesc("inner_ready",
		"1 where this part of the process can do its work, else 0; those of /readyz.", []string{"check"}, nil)}))
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) { to <- c.ok }

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	parts, failing := c.health.runChecks(context.Background())
	for _, name := range failing {
		to <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 0, name)
		delete(parts, name)
	}
	for name := range parts {
		to <- prometheus.MustNewConstMetric(c.ok, prometheus.GaugeValue, 1, name)
	}
}
