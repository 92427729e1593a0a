package workers_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/job"
)

func TestVersionOverLimitFailsAndKeepsActiveVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.rollOut(t, "app:1", 1, "")
	for column, value := range map[string]string{
		"max_replicas": "101", "assigned_cpu": "'65'", "assigned_memory": "'257Gi'", "assigned_disk": "'2Ti'",
	} {
		b.exec(t, `UPDATE workers SET assigned_cpu = '1', assigned_memory = '1Gi', assigned_disk = '1Gi', max_replicas = 1`)
		b.exec(t, `UPDATE workers SET `+column+` = `+value)
		b.queue.ended = nil
		v := b.version(t, "app:2")
		reason := requireKind(t, job.Terminal, b.deploy(t, 2, v))
		require.Contains(t, reason, column+": ")
		require.Contains(t, reason, "the most that a worker can have (controller.limits.")
		require.Empty(t, b.queue.ended, "the earlier deploy continues")
		b.discard(t, "worker.deploy_worker", 2, fmt.Sprintf(`,"version_id":%d`, v), reason)
		require.Equal(t, fmt.Sprintf("active %d", first), b.rows(t)[0])
		require.Contains(t, b.rows(t), fmt.Sprintf("%d error %s", v, reason))
		require.Equal(t, reason, requireKind(t, job.Terminal, b.syncEnv(t, 3)), "a change of the environment is limited too")
		require.Equal(t, fmt.Sprintf("app:1 version %d task 1", first), b.app(t))
		b.exec(t, `UPDATE workers SET status = 'active'`)
	}
}
