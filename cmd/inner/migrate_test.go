package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
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

func TestMigrateChangesDatabaseIDOnlyWhenRestored(t *testing.T) {
	t.Parallel()
	p := setup(t)
	id := func() string {
		found, err := database.Identity(t.Context(), p.db.DB)
		require.NoError(t, err)
		require.NotEmpty(t, found)
		return found
	}
	before := id()
	_, err := p.run(t, "migrate")
	require.NoError(t, err)
	require.Equal(t, before, id())
	out, err := p.run(t, "migrate", "--restored")
	require.NoError(t, err)
	require.Equal(t, "nothing to do\nthe database is up to date and has a new id: its rows take precedence over the cluster\n", out)
	require.NotEqual(t, before, id())
}
