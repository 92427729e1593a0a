package combinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/tasks/job"
)

func TestLoweredLimitKeepsActiveSchemas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	for _, rid := range []string{"r1", "r2"} {
		b.resource("u1", rid, "rdb")
		require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", rid)))
	}
	b.config.Combinator.RDB.SchemasPerUser = 1
	require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r2")), "a repair")
	require.Equal(t, "active", b.status("r2"))
	b.resource("u1", "r3", "rdb")
	var refused *job.Error
	require.ErrorAs(t, b.run(jobs.CreateRDBType, ref("u1", "r3")), &refused)
	require.Equal(t, job.Terminal, refused.Kind)
	require.Equal(t, "error", b.status("r3"))
}
