// Package metrics exports the totals of the latest audit, whichever process ran it.
package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/store"
)

// timeout limits the query of one scrape.
const timeout = 2 * time.Second

// Totals is a collector of the totals of the latest audit.
type Totals struct {
	store                            *store.Store
	interval                         time.Duration
	finished, every, counts, refused *prometheus.Desc
}

// New registers the collector with r.
func New(r *prometheus.Registry, s *store.Store, c *config.Config) (*Totals, error) {
	t := &Totals{
		store: s, interval: c.Audit.Interval,
		every: prometheus.NewDesc("inner_audit_interval_seconds", "Time between two audits, as configured.", nil, nil),
		finished: prometheus.NewDesc("inner_audit_finished_timestamp_seconds",
			"Time at which the latest complete audit finished, or, before there is one, the first began, in Unix seconds.", nil, nil),
		counts: prometheus.NewDesc("inner_audit_number", "Counts of the latest audit, by kind of object.",
			[]string{"kind", "what"}, nil),
		refused: prometheus.NewDesc("inner_audit_refused", "1 if the latest audit refused deletions, by kind.",
			[]string{"kind"}, nil),
	}
	return t, r.Register(guard.Collector(t))
}

// Describe implements prometheus.Collector.
func (t *Totals) Describe(to chan<- *prometheus.Desc) {
	to <- t.finished
	to <- t.every
	to <- t.counts
	to <- t.refused
}

// Collect implements prometheus.Collector. It collects nothing but the interval before the first audit.
func (t *Totals) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(t.every, prometheus.GaugeValue, t.interval.Seconds())
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	last, err := t.store.Last(ctx)
	if errors.Is(err, admin.ErrNone) {
		return
	}
	if err != nil {
		to <- prometheus.NewInvalidMetric(t.counts, errors.New("the database is unavailable"))
		return
	}
	finished, err := t.store.LastFinished(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(t.finished, errors.New("the database is unavailable"))
	} else {
		to <- prometheus.MustNewConstMetric(t.finished, prometheus.GaugeValue, float64(finished.Unix()))
	}
	for _, k := range last.Kinds {
		for what, n := range map[string]int64{
			"objects": k.Objects, "rows": k.Rows, "missing": k.Missing, "stuck": k.Stuck, "ownerless": k.Ownerless,
			"orphans": k.Orphans, "repaired": k.Repaired, "deleted": k.Deleted,
		} {
			to <- prometheus.MustNewConstMetric(t.counts, prometheus.GaugeValue, float64(n), k.Kind, what)
		}
		refused := 0.0
		if last.Refusal != "" || k.Refusal != "" {
			refused = 1
		}
		to <- prometheus.MustNewConstMetric(t.refused, prometheus.GaugeValue, refused, k.Kind)
	}
}
