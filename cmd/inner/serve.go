package main

import (
	"context"

	"github.com/spf13/cobra"
	"go.uber.org/dig"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/app/tracing"
)

func newServe() *cobra.Command {
	var migrate bool
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Accept tasks, run them, and reconcile WorkerApps until interrupted",
		Example: "  inner serve -d postgres://inner@db/platform -k ~/.kube/config",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			if migrate {
				if _, err := app.Migrate(cmd.Context(), c, false, nil); err != nil {
					return err
				}
			}
			return run(cmd.Context(), app.Serve(c))
		},
	}
	cmd.Flags().BoolVar(&migrate, "migrate", false, "make missing tables first, like inner migrate")
	return cmd
}

// run starts the program and stops it again once ctx ends or the program asks for it.
func run(ctx context.Context, options fx.Option) error {
	var log *zap.Logger
	program := fx.New(options, fx.Populate(&log))
	if err := program.Err(); err != nil {
		// What one constructor said, without the page about who asked for it.
		return app.Told("", dig.RootCause(err))
	}
	defer logAll(log)()
	// A signal in the midst of the start is heeded after it: of a start that is cut short nothing would be stopped.
	start, cancel := context.WithTimeout(context.WithoutCancel(ctx), program.StartTimeout())
	defer cancel()
	if err := program.Start(start); err != nil {
		return app.Told("start", err)
	}
	select {
	case <-ctx.Done():
	case <-program.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), program.StopTimeout())
	defer cancel()
	if err := program.Stop(stop); err != nil {
		return app.Told("stop", err)
	}
	return nil
}

// logAll has what libraries would write to standard error by themselves written as lines of the log, until the returned
// function is called.
func logAll(log *zap.Logger) (restore func()) {
	tracing.LogErrors(log)
	return zap.RedirectStdLog(log)
}
