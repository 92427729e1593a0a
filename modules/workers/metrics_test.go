package workers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/metricstest"
)

func TestRolloutsAndRestoresAreCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.rollOut(t, "app:1", 1, "")
	b.rollOut(t, "app:2", 2, "exit code 3")
	require.Equal(t, map[string]float64{
		"inner_worker_rollouts_total/running": 1, "inner_worker_rollouts_total/failed": 1, "inner_worker_restores_total": 1,
	}, metricstest.Values(t, b.registry))
}
