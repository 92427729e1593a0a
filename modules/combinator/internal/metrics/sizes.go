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

// Sizes is a collector of the last measured sizes of SQL schemas. They are read from the database, so that every process
// exports the same values.
type Sizes struct {
	store *store.Store
	bytes *prometheus.Desc
}

// NewSizes registers the collector with r.
func NewSizes(r *prometheus.Registry, store *store.Store) (*Sizes, error) {
	s := &Sizes{store: store, bytes: prometheus.NewDesc("inner_combinator_rdb_bytes",
		"Size of a user's SQL schema when it was measured last.", []string{"user_uid", "resource_id"}, nil)}
	return s, r.Register(guard.Collector(s))
}

// Describe implements prometheus.Collector.
func (s *Sizes) Describe(to chan<- *prometheus.Desc) { to <- s.bytes }

// Collect implements prometheus.Collector. When the database does not answer, it exports no values.
func (s *Sizes) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := s.store.ForEachSize(ctx, func(userUID, resourceID string, bytes int64) {
		to <- prometheus.MustNewConstMetric(s.bytes, prometheus.GaugeValue, float64(bytes), userUID, resourceID)
	})
	if err != nil {
		to <- prometheus.NewInvalidMetric(s.bytes, err)
	}
}
