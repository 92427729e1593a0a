package audit_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/audit/internal/ledger"
	"app238.com/inner/modules/audit/internal/metrics"
)

// values returns the gauges of a registry by their name and the values of their labels.
func values(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	all := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += "/" + label.GetValue()
			}
			all[name] = m.GetGauge().GetValue()
		}
	}
	return all
}

func TestEveryReplicaShowsTheTotalsOfTheLatestAudit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	registry := prometheus.NewPedanticRegistry()
	_, err := metrics.New(registry, ledger.New(b.DB, b.Config))
	require.NoError(t, err)
	require.Empty(t, values(t, registry), "before the first audit")
	b.worker("w", "active")
	b.thing("w", "orphan")
	b.audit()
	require.Zero(t, values(t, registry)["inner_audit_refused/worker"])
	b.exec(`DELETE FROM users`)
	b.audit()
	shown := values(t, registry)
	require.NotZero(t, shown["inner_audit_finished_timestamp_seconds"])
	delete(shown, "inner_audit_finished_timestamp_seconds")
	require.Equal(t, map[string]float64{
		"inner_audit_number/worker/things": 2, "inner_audit_number/worker/rows": 1, "inner_audit_number/worker/orphans": 1,
		"inner_audit_number/worker/ownerless": 1, "inner_audit_number/worker/missing": 0, "inner_audit_number/worker/stuck": 0,
		"inner_audit_number/worker/repaired": 0, "inner_audit_number/worker/deleted": 0, "inner_audit_refused/worker": 1,
	}, shown)
}
