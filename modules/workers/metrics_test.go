package workers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/job"
)

func TestRolloutsAndRestoresAreCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.version(t, "app:1")
	requireKind(t, job.Parked, b.deploy(t, 1, first))
	b.record(t, first, 1, "")
	second := b.version(t, "app:2")
	requireKind(t, job.Parked, b.deploy(t, 2, second))
	b.record(t, second, 2, "exit code 3")
	require.Equal(t, map[string]float64{
		"inner_worker_rollouts_total running": 1, "inner_worker_rollouts_total failed": 1, "inner_worker_restores_total": 1,
	}, b.counted(t))
}

// counted returns the counters by name and label.
func (b *bundle) counted(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := b.registry.Gather()
	require.NoError(t, err)
	counted := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			counted[name] = m.GetCounter().GetValue()
		}
	}
	return counted
}
