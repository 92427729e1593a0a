// Package metrics holds the Prometheus metrics of custom domains.
package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"app238.com/inner/app/guard"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
)

// Metrics are the counters and histograms of one process. Times are in seconds.
type Metrics struct {
	// Checks counts checks by their result, CheckTime is the time of one.
	Checks    *prometheus.CounterVec
	CheckTime prometheus.Histogram
	// Writes counts changes of objects in the cluster, by kind and action (apply, delete).
	Writes *prometheus.CounterVec
	// Installed is 1 for each kind of object that the cluster knows, else 0.
	Installed *prometheus.GaugeVec

	questions    *prometheus.CounterVec
	questionTime prometheus.Histogram
}

// New registers the metrics with r.
func New(r *prometheus.Registry) (*Metrics, error) {
	times := prometheus.ExponentialBuckets(0.001, 2.5, 12)
	m := &Metrics{
		Checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inner_domain_checks_total", Help: "Checks of custom domains."}, []string{"result"}),
		CheckTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "inner_domain_check_duration_seconds", Help: "Time of one check.", Buckets: times}),
		Writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inner_domain_object_writes_total", Help: "Changes of objects of custom domains."}, []string{"kind", "action"}),
		Installed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "inner_domain_kind_installed", Help: "Whether the cluster knows a kind that serves custom domains."}, []string{"kind"}),
		questions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inner_domain_dns_queries_total", Help: "Questions to DNS servers, by what came of them."}, []string{"result"}),
		questionTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "inner_domain_dns_query_duration_seconds", Help: "Time of one question.", Buckets: times}),
	}
	return m, errors.Join(r.Register(m.Checks), r.Register(m.CheckTime), r.Register(m.Writes), r.Register(m.Installed),
		r.Register(m.questions), r.Register(m.questionTime))
}

// Question notes one question to a DNS server.
func (m *Metrics) Question(result string, took time.Duration) {
	m.questions.WithLabelValues(result).Inc()
	m.questionTime.Observe(took.Seconds())
}

// countTimeout bounds the look into the database that a scrape makes.
const countTimeout = 2 * time.Second

// Count is a collector of the domains by state and of their certificates, over all processes.
type Count struct {
	store                 *store.Store
	domains, certificates *prometheus.Desc
}

// NewCount registers the collector with r.
func NewCount(r *prometheus.Registry, s *store.Store) (*Count, error) {
	c := &Count{
		store:   s,
		domains: prometheus.NewDesc("inner_domains", "Custom domains by state.", []string{"state"}, nil),
		certificates: prometheus.NewDesc("inner_domain_certificates",
			"Custom domains that are served, by whether their certificate is ready.", []string{"ready"}, nil),
	}
	return c, r.Register(guard.Collector(c))
}

// Describe implements prometheus.Collector.
func (c *Count) Describe(to chan<- *prometheus.Desc) { to <- c.domains; to <- c.certificates }

// Collect implements prometheus.Collector. Without an answer of the database there are no values.
func (c *Count) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
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
