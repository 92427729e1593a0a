package audit_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/audit/internal/metrics"
	"app238.com/inner/modules/audit/internal/store"
	"app238.com/inner/test/metricstest"
)

func TestMetricsShowTheLatestAudit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	registry := prometheus.NewPedanticRegistry()
	_, err := metrics.New(registry, store.New(database.NewEnt(b.DB), b.DB, b.Config), b.Config)
	require.NoError(t, err)
	interval := map[string]float64{"inner_audit_interval_seconds": b.Config.Audit.Interval.Seconds()}
	require.Equal(t, interval, metricstest.Values(t, registry), "before the first audit")
	b.addWorker("w", "active")
	b.addObjects("w", "orphan")
	b.audit()
	require.Zero(t, metricstest.Values(t, registry)["inner_audit_refused/worker"])
	b.exec(`DELETE FROM users`)
	b.audit()
	shown := metricstest.Values(t, registry)
	finished := shown["inner_audit_finished_timestamp_seconds"]
	require.NotZero(t, finished)
	delete(shown, "inner_audit_finished_timestamp_seconds")
	delete(shown, "inner_audit_interval_seconds")
	require.Equal(t, map[string]float64{
		"inner_audit_number/worker/objects": 2, "inner_audit_number/worker/rows": 1, "inner_audit_number/worker/orphans": 1,
		"inner_audit_number/worker/ownerless": 1, "inner_audit_number/worker/missing": 0, "inner_audit_number/worker/stuck": 0,
		"inner_audit_number/worker/repaired": 0, "inner_audit_number/worker/deleted": 0, "inner_audit_refused/worker": 1,
	}, shown)
	b.exec(`INSERT INTO inner_audits (task_id, mode, started_at) VALUES (1000000, 'report', LOCALTIMESTAMP + INTERVAL '1 hour')`)
	require.InDelta(t, finished, metricstest.Values(t, registry)["inner_audit_finished_timestamp_seconds"], 0,
		"a newer audit that has not finished hides nothing")
}

func TestNewPlatformRefusesNoDeletions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.Mode = config.AuditReports
	registry := prometheus.NewPedanticRegistry()
	_, err := metrics.New(registry, store.New(database.NewEnt(b.DB), b.DB, b.Config), b.Config)
	require.NoError(t, err)
	b.exec(`DELETE FROM users`)
	b.audit()
	require.Contains(t, metricstest.Values(t, registry), "inner_audit_refused/worker")
	require.Zero(t, metricstest.Values(t, registry)["inner_audit_refused/worker"])
	b.addObjects("orphan")
	b.audit()
	require.InDelta(t, 1, metricstest.Values(t, registry)["inner_audit_refused/worker"], 0, "no users, but objects")
}
