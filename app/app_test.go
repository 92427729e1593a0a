package app_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

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

func TestGraphOfProgramIsComplete(t *testing.T) {
	t.Parallel()
	require.NoError(t, fx.ValidateApp(app.Serve(load(t))))
	var runner job.Runner
	require.NoError(t, fx.ValidateApp(app.Base(load(t)), app.Modules(), fx.Populate(&runner)))
}

func TestSilentDatabaseDoesNotBlockStart(t *testing.T) {
	t.Parallel()
	var listening net.ListenConfig
	silent, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = silent.Close() }()
	c := load(t)
	c.Database.DSN = config.Secret("postgres://nobody@" + silent.Addr().String() + "/none?sslmode=disable")
	c.Database.ConnectTimeout = time.Minute
	c.HTTP.Listen, c.HTTP.DrainTime, c.Kubernetes.Kubeconfig = "127.0.0.1:0", 0, os.Getenv("INNER_TEST_KUBECONFIG")
	c.Kubernetes.Namespaces.Worker, c.Kubernetes.Namespaces.Ingress = "silent-worker", "silent-ingress"
	program := fx.New(app.Serve(c), fx.NopLogger)
	require.NoError(t, program.Err())
	start, cancel := context.WithTimeout(t.Context(), program.StartTimeout())
	defer cancel()
	require.NoError(t, program.Start(start))
	require.NoError(t, program.Stop(context.Background()))
}
