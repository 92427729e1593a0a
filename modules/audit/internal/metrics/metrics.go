// Package metrics shows the totals of the latest audit, whichever process carried it out.
package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"app238.com/inner/app/guard"
	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/store"
)

// timeout bounds the look into the database that a scrape makes.
const timeout = 2 * time.Second

// Totals is a collector of the recorded totals.
type Totals struct {
	store             *store.Store
	finished, numbers *prometheus.Desc
	refused           *prometheus.Desc
}

// New registers the collector with r.
func New(r *prometheus.Registry, l *store.Store) (*Totals, error) {
	t := &Totals{
		store: l,
		finished: prometheus.NewDesc("inner_audit_finished_timestamp_seconds",
			"When the latest audit that went over everything ended, in Unix time.", nil, nil),
		numbers: prometheus.NewDesc("inner_audit_number", "What the latest audit counted, by kind of thing.",
			[]string{"kind", "what"}, nil),
		refused: prometheus.NewDesc("inner_audit_refused", "1 where the latest audit was not to delete, by kind.",
			[]string{"kind"}, nil),
	}
	return t, r.Register(guard.Collector(t))
}

// Describe implements prometheus.Collector.
func (t *Totals) Describe(to chan<- *prometheus.Desc) {
	to <- t.finished
	to <- t.numbers
	to <- t.refused
}

// Collect implements prometheus.Collector. Before the first audit there are no values.
func (t *Totals) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	last, err := t.store.Last(ctx)
	if errors.Is(err, admin.ErrNone) {
		return
	}
	if err != nil {
		to <- prometheus.NewInvalidMetric(t.numbers, errors.New("the database does not answer"))
		return
	}
	if last.FinishedAt != nil {
		to <- prometheus.MustNewConstMetric(t.finished, prometheus.GaugeValue, float64(last.FinishedAt.Unix()))
	}
	for _, k := range last.Kinds {
		for what, n := range map[string]int64{
			"things": k.Things, "rows": k.Rows, "missing": k.Missing, "stuck": k.Stuck, "ownerless": k.Ownerless,
			"orphans": k.Orphans, "repaired": k.Repaired, "deleted": k.Deleted,
		} {
			to <- prometheus.MustNewConstMetric(t.numbers, prometheus.GaugeValue, float64(n), k.Kind, what)
		}
		refused := 0.0
		if last.Refusal != "" || k.Refusal != "" {
			refused = 1
		}
		to <- prometheus.MustNewConstMetric(t.refused, prometheus.GaugeValue, refused, k.Kind)
	}
}
