package app_test

import (
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/modules/tasks/job"
)

func load(t testing.TB) *config.Config {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags)
	require.NoError(t, flags.Parse([]string{"--database", "postgres://nobody@127.0.0.1:1/none"}))
	c, err := config.LoadForDatabase(flags)
	require.NoError(t, err)
	return c
}

func TestTheGraphOfTheWholeProgramIsComplete(t *testing.T) {
	t.Parallel()
	require.NoError(t, fx.ValidateApp(app.Serve(load(t))))
	var runner job.Runner
	require.NoError(t, fx.ValidateApp(app.Base(load(t)), app.Modules(), fx.Populate(&runner)))
}
