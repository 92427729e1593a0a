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
	appversion "app238.com/inner/app/version"
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
			return run(cmd.Context(), fx.Options(app.Serve(c), app.WithVersion(appversion.Version(version))))
		},
	}
	cmd.Flags().BoolVar(&migrate, "migrate", false, "create missing tables first, like inner migrate")
	return cmd
}

// run starts the program and stops it when ctx ends or the program shuts itself down.
func run(ctx context.Context, options fx.Option) error {
	var log *zap.Logger
	program := fx.New(options, fx.Populate(&log))
	if err := program.Err(); err != nil {
		// The constructor's own error, without fx's dependency path.
		return app.UserError("", dig.RootCause(err))
	}
	defer redirectLogs(log)()
	// A signal during the start takes effect after it: fx stops nothing of an interrupted start.
	start, cancel := context.WithTimeout(context.WithoutCancel(ctx), program.StartTimeout())
	defer cancel()
	if err := program.Start(start); err != nil {
		return app.UserError("start", err)
	}
	select {
	case <-ctx.Done():
	case <-program.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), program.StopTimeout())
	defer cancel()
	if err := program.Stop(stop); err != nil {
		return app.UserError("stop", err)
	}
	return nil
}

// redirectLogs sends the output of libraries to the log instead of standard error, until the returned function is called.
func redirectLogs(log *zap.Logger) (restore func()) {
	tracing.LogErrors(log)
	return zap.RedirectStdLog(log)
}
