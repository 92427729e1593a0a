package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMigratePrintsItsSteps(t *testing.T) {
	t.Parallel()
	p := setup(t)
	out, err := p.run(t, "migrate")
	require.NoError(t, err)
	require.Equal(t, "nothing to do\nthe database is up to date\n", out)
	_, err = p.db.ExecContext(t.Context(), `DROP INDEX console_tasks_ready`)
	require.NoError(t, err)
	out, err = p.run(t, "migrate")
	require.NoError(t, err)
	require.Equal(t, "build index console_tasks_ready on console_tasks\nthe database is up to date\n", out)
}
