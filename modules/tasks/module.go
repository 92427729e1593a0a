// Package tasks is the task queue: it accepts, stores, claims, runs and retries tasks, and knows no job by name.
package tasks

import (
	"go.uber.org/fx"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks/internal/cron"
	"app238.com/inner/modules/tasks/internal/httpapi"
	"app238.com/inner/modules/tasks/internal/processor"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/runner"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// Module provides the queue (job.Queue, job.Runner), its routes and its readiness check.
var Module = fx.Module("tasks",
	fx.Provide(
		registry.New,
		store.New,
		queue.New,
		func(q *queue.Queue) job.Queue { return q },
		newProcessor,
		fx.Annotate(runner.New, fx.As(new(job.Runner))),
		newCron,
		httpapi.New,
		server.AsRoutes((*httpapi.API).Routes),
		server.AsCheck(func(p *processor.Processor) server.Check {
			return server.Check{Name: "processor", Ready: p.Ready}
		}),
	),
	fx.Invoke(fx.Annotate((*registry.Registry).Add, fx.ParamTags("", `group:"jobs"`))),
)

// Start has the processor started, and then the cron.
var Start = fx.Options(
	fx.Invoke(
		func(lc fx.Lifecycle, p *processor.Processor) { lc.Append(fx.StartStopHook(p.Start, p.Stop)) },
		func(lc fx.Lifecycle, c *cron.Cron) { lc.Append(fx.StartStopHook(c.Start, c.Stop)) },
	),
)

func newProcessor(c *config.Config, log *zap.Logger, r *registry.Registry, s *store.Store, q *queue.Queue) *processor.Processor {
	return processor.New(c, log, r, s, q.Hints())
}

// cronParams gathers what the modules contributed.
type cronParams struct {
	fx.In
	Config   *config.Config
	Log      *zap.Logger
	Registry *registry.Registry
	Store    *store.Store
	Queue    *queue.Queue
	Jobs     []job.Periodic `group:"periodic"`
}

func newCron(p cronParams) (*cron.Cron, error) {
	return cron.New(p.Config, p.Log, p.Registry, p.Store, p.Jobs, p.Queue.Nudge)
}
