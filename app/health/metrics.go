package health

import (
	"context"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"app238.com/inner/app/guard"
)

// collector exposes the results of the checks. A scrape runs them.
type collector struct {
	health          *Health
	ready, degraded *prometheus.Desc
}

// Register registers the metrics of the checks with r.
func Register(r *prometheus.Registry, h *Health) error {
	return r.Register(guard.Collector(&collector{
		health: h,
		ready: prometheus.NewDesc("inner_ready", "1 if this check, without which the process is not ready, passes, else 0.",
			[]string{"check"}, nil),
		degraded: prometheus.NewDesc("inner_degraded", "1 if this check, which only degrades the process, fails, else 0.",
			[]string{"check"}, nil),
	}))
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	to <- c.ready
	to <- c.degraded
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	found := c.health.runChecks(context.Background())
	value := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	for _, check := range c.health.checks {
		if check.Degrades {
			to <- prometheus.MustNewConstMetric(c.degraded, prometheus.GaugeValue,
				value(slices.Contains(found.degraded, check.Name)), check.Name)
			continue
		}
		to <- prometheus.MustNewConstMetric(c.ready, prometheus.GaugeValue,
			value(!slices.Contains(found.failing, check.Name)), check.Name)
	}
}
