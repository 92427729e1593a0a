package main

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"
)

func TestSignalDuringStartStopsStartedHooks(t *testing.T) {
	t.Parallel()
	ctx, signal := context.WithCancel(t.Context())
	var begun, ended []string
	hook := func(name string, start func()) fx.Hook {
		return fx.Hook{
			OnStart: func(context.Context) error {
				start()
				begun = append(begun, name)
				return nil
			},
			OnStop: func(ctx context.Context) error {
				ended = append(ended, name)
				return ctx.Err()
			},
		}
	}
	require.NoError(t, run(ctx, fx.Options(fx.NopLogger, fx.Provide(zap.NewNop), fx.Invoke(func(lc fx.Lifecycle) {
		lc.Append(hook("server", func() {}))
		lc.Append(hook("queue", signal))
		lc.Append(hook("cron", func() {}))
	}))))
	require.Equal(t, []string{"server", "queue", "cron"}, begun)
	require.Equal(t, []string{"cron", "queue", "server"}, ended)
}

func TestCommandPanicIsFailureNotUsageError(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	root := &cobra.Command{RunE: func(*cobra.Command, []string) error { panic("sk_hunter2 is invalid") }}
	root.SetErr(&out)
	root.SetArgs([]string{})
	require.Equal(t, exitFailure, runRoot(t.Context(), root))
	require.Contains(t, out.String(), "inner: panic: sk_*** is invalid")
}

func TestErrorsReachTheTerminalWithoutControlCharacters(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	root := &cobra.Command{RunE: func(*cobra.Command, []string) error { return errors.New("first \x1b[31mred\nsecond") },
		SilenceErrors: true, SilenceUsage: true}
	root.SetErr(&out)
	root.SetArgs([]string{})
	require.Equal(t, exitFailure, runRoot(t.Context(), root))
	require.Equal(t, "inner: first [31mred\nsecond\n", out.String())
}
