// Command replica is one Inner process of the chaos tests: the task queue and its HTTP interface as in the product, the
// job of package note, and nothing of Kubernetes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/fx"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/app/health"
	"app238.com/inner/app/metrics"
	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/chaos/echo"
	"app238.com/inner/test/chaos/journal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "replica:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	config   *config.Config
	replica  echo.Replica
	journal  string
	periodic bool
}

func parse(args []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("replica", pflag.ContinueOnError)
	config.AddFlags(flags)
	flags.StringVar(&o.replica.Name, "name", "", "name of this replica")
	flags.Uint64Var(&o.replica.Seed, "seed", 0, "what the job's chances come from")
	flags.StringVar(&o.journal, "journal", "", "file for the record of executions")
	flags.BoolVar(&o.periodic, "periodic", false, "run the periodic job")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	o.config, err = config.LoadForDatabase(flags)
	return o, err
}

// run serves until ctx ends.
func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	record, err := journal.Open(o.journal)
	if err != nil {
		return err
	}
	var http *server.Server
	program := fx.New(graph(o, record), fx.Populate(&http))
	start, cancel := context.WithTimeout(ctx, program.StartTimeout())
	defer cancel()
	if err := program.Start(start); err != nil {
		return errors.Join(err, record.Close())
	}
	err = record.Write(journal.Line{Event: journal.Listening, Address: http.Address()})
	if err == nil {
		<-ctx.Done()
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), program.StopTimeout())
	defer cancel()
	return errors.Join(err, program.Stop(stop), record.Close())
}

// graph is what of app.Serve the queue needs, in the same order.
func graph(o options, record *journal.Journal) fx.Option {
	periodic := fx.Options()
	if o.periodic {
		periodic = fx.Provide(job.AsPeriodic(echo.Periodic))
	}
	return fx.Options(
		app.Core(o.config),
		fx.NopLogger,
		fx.Supply(o.replica, record),
		fx.Provide(
			fx.Annotate(health.New, fx.ParamTags(`group:"readiness"`, "", "")),
			server.AsRoutes((*health.Health).Routes),
			server.AsRoutes(metrics.Routes),
			server.NewMetrics,
			fx.Annotate(server.New, fx.ParamTags("", "", "", `group:"routes"`, `group:"middleware"`)),
			echo.New,
			job.As(echo.Definition),
		),
		periodic,
		fx.Invoke(func(lc fx.Lifecycle, s *server.Server) { lc.Append(fx.StartStopHook(s.Start, s.Stop)) }),
		tasks.Module,
		tasks.Start,
		fx.StopTimeout(o.config.Tasks.ShutdownTimeout+o.config.HTTP.ShutdownTimeout+5*time.Second),
	)
}
