// Package tasks is the task queue: it accepts, stores, claims, runs and retries tasks, and knows no job type by name.
package tasks

import (
	"go.uber.org/fx"

	"app238.com/inner/app/server"
	appstatus "app238.com/inner/app/status"
	"app238.com/inner/modules/tasks/internal/admin"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/cron"
	"app238.com/inner/modules/tasks/internal/encryption"
	"app238.com/inner/modules/tasks/internal/httpapi"
	"app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/processor"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/retention"
	"app238.com/inner/modules/tasks/internal/status"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// Module provides the queue (job.Queue, job.Runner, job.TaskRunner, job.Admin, job.ActiveKeys), its routes and its
// readiness checks.
var Module = fx.Module("tasks",
	fx.Provide(
		registry.New,
		encryption.New,
		fx.Annotate(store.New, fx.As(fx.Self()), fx.As(new(job.ActiveKeys))),
		store.NewHeartbeats,
		claims.NewTracker,
		metrics.New,
		metrics.NewDepth, metrics.NewInFlight,
		retention.New,
		fx.Annotate(queue.New, fx.As(fx.Self()), fx.As(new(job.Queue))),
		processor.New,
		fx.Annotate(admin.NewTaskRunner, fx.As(new(job.Runner)), fx.As(new(job.TaskRunner))),
		fx.Annotate(admin.New, fx.As(new(job.Admin))),
		cron.New,
		httpapi.New,
		server.AsRoutes((*httpapi.API).Routes),
		appstatus.As(status.NewReplicas),
		appstatus.As(status.NewQueue),
		server.AsCheck((*processor.Processor).Check),
		server.AsCheck((*queue.Queue).Check),
	),
	fx.Invoke(fx.Annotate((*registry.Registry).Add, fx.ParamTags("", `group:"jobs"`))),
)

// Start starts the processor, the cron and the deletion of old tasks.
var Start = fx.Options(
	fx.Invoke(
		func(lc fx.Lifecycle, p *processor.Processor) { lc.Append(fx.StartStopHook(p.Start, p.Stop)) },
		func(lc fx.Lifecycle, c *cron.Cron) { lc.Append(fx.StartStopHook(c.Start, c.Stop)) },
		func(lc fx.Lifecycle, r *retention.Cleaner) { lc.Append(fx.StartStopHook(r.Start, r.Stop)) },
		func(*metrics.Depth, *metrics.InFlight) {},
	),
)
