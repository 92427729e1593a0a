// Package metrics exports the sizes of users' SQL schemas.
package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"app238.com/inner/app/guard"
	"app238.com/inner/modules/combinator/internal/store"
)

// timeout bounds the database query of a scrape.
const timeout = 2 * time.Second

// largest is how many schemas have a series of their own: their number does not grow with that of the users.
const largest = 10

// Sizes is a collector of the last measured sizes of SQL schemas. They are read from the database, so that every process
// exports the same values.
type Sizes struct {
	store            *store.Store
	total, ofLargest *prometheus.Desc
}

// NewSizes registers the collector with r.
func NewSizes(r *prometheus.Registry, store *store.Store) (*Sizes, error) {
	s := &Sizes{
		store: store,
		total: prometheus.NewDesc("inner_combinator_rdb_bytes", "Size of all users' SQL schemas when they were measured last.",
			nil, nil),
		ofLargest: prometheus.NewDesc("inner_combinator_rdb_largest_bytes",
			"Size of one of the largest SQL schemas when it was measured last.", []string{"user_uid", "resource_id"}, nil),
	}
	return s, r.Register(guard.Collector(s))
}

// Describe implements prometheus.Collector.
func (s *Sizes) Describe(to chan<- *prometheus.Desc) {
	to <- s.total
	to <- s.ofLargest
}

// Collect implements prometheus.Collector. When the database does not answer, it exports no values.
func (s *Sizes) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	sizes, err := s.store.Sizes(ctx, largest)
	if err != nil {
		to <- prometheus.NewInvalidMetric(s.total, err)
		return
	}
	export := func(d *prometheus.Desc, value int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	export(s.total, sizes.Bytes)
	for _, one := range sizes.Largest {
		export(s.ofLargest, one.Bytes, one.UserUID, one.ResourceID)
	}
}
