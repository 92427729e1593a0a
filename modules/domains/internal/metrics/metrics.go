// Package metrics holds the Prometheus metrics of custom domains.
package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"app238.com/inner/app/guard"
	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
)

// Metrics are the counters and histograms of one process. Times are in seconds.
type Metrics struct {
	// Checks counts checks by result, CheckDuration measures them.
	Checks        *prometheus.CounterVec
	CheckDuration prometheus.Histogram
	// Writes counts writes of objects in the cluster, by kind and action (apply, delete).
	Writes *prometheus.CounterVec
	// Installed is 1 for each kind that the cluster knows, else 0.
	Installed *prometheus.GaugeVec

	queries       *prometheus.CounterVec
	queryDuration prometheus.Histogram
}

// New registers the metrics with r.
func New(r *prometheus.Registry) (*Metrics, error) {
	times := prometheus.ExponentialBuckets(0.001, 2.5, 12)
	m := &Metrics{
		Checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inner_domain_checks_total", Help: "Checks of custom domains."}, []string{"result"}),
		CheckDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "inner_domain_check_duration_seconds", Help: "Duration of a check.", Buckets: times}),
		Writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inner_domain_object_writes_total", Help: "Writes of objects of custom domains."}, []string{"kind", "action"}),
		Installed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "inner_domain_kind_installed", Help: "1 if the cluster knows a kind of object that serves custom domains.",
		}, []string{"kind"}),
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inner_domain_dns_queries_total", Help: "Queries to DNS servers, by result."}, []string{"result"}),
		queryDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "inner_domain_dns_query_duration_seconds", Help: "Duration of a DNS query.", Buckets: times}),
	}
	for _, kind := range []lifecycle.Kind{lifecycle.Valid, lifecycle.Invalid, lifecycle.Unreachable, lifecycle.Refused} {
		m.Checks.WithLabelValues(string(kind)) // a rate needs a sample before the first event
	}
	return m, errors.Join(r.Register(m.Checks), r.Register(m.CheckDuration), r.Register(m.Writes), r.Register(m.Installed),
		r.Register(m.queries), r.Register(m.queryDuration))
}

// ObserveQuery records one query to a DNS server.
func (m *Metrics) ObserveQuery(result string, took time.Duration) {
	m.queries.WithLabelValues(result).Inc()
	m.queryDuration.Observe(took.Seconds())
}

// collectTimeout limits the queries of one scrape.
const collectTimeout = 2 * time.Second

// Collector exports the number of domains by state and of their certificates, whichever process serves them.
type Collector struct {
	store                 *store.Store
	domains, certificates *prometheus.Desc
}

// NewCollector registers the collector with r.
func NewCollector(r *prometheus.Registry, s *store.Store) (*Collector, error) {
	c := &Collector{
		store:   s,
		domains: prometheus.NewDesc("inner_domains", "Custom domains by state.", []string{"state"}, nil),
		certificates: prometheus.NewDesc("inner_domain_certificates",
			"Custom domains that are served, by whether their certificate is ready.", []string{"ready"}, nil),
	}
	return c, r.Register(guard.Collector(c))
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(to chan<- *prometheus.Desc) { to <- c.domains; to <- c.certificates }

// Collect implements prometheus.Collector. If the database is unavailable, it collects no values.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	counts, err := c.store.Count(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.domains, err)
		return
	}
	for state, n := range counts {
		to <- prometheus.MustNewConstMetric(c.domains, prometheus.GaugeValue, float64(n), state)
	}
	ready, waiting, err := c.store.Certificates(ctx, objects.Ready)
	if err != nil {
		to <- prometheus.NewInvalidMetric(c.certificates, err)
		return
	}
	to <- prometheus.MustNewConstMetric(c.certificates, prometheus.GaugeValue, float64(ready), "yes")
	to <- prometheus.MustNewConstMetric(c.certificates, prometheus.GaugeValue, float64(waiting), "no")
}
