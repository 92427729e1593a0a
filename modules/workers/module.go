// Package workers reconciles the rows of workers with their WorkerApps, and records the outcomes of rollouts in the rows.
package workers

import (
	"go.uber.org/fx"

	"app238.com/inner/app/server"
	auditinventory "app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/admin"
	internaladmin "app238.com/inner/modules/workers/internal/admin"
	"app238.com/inner/modules/workers/internal/cluster"
	"app238.com/inner/modules/workers/internal/httpapi"
	"app238.com/inner/modules/workers/internal/inventory"
	"app238.com/inner/modules/workers/internal/jobs"
	"app238.com/inner/modules/workers/internal/metrics"
	"app238.com/inner/modules/workers/internal/origin"
	"app238.com/inner/modules/workers/internal/outcome"
	"app238.com/inner/modules/workers/internal/store"
)

// Module provides the jobs, routes and inventory of workers, and implements the controller's seam.
var Module = fx.Module("workers",
	fx.Provide(
		store.New,
		origin.New,
		metrics.New,
		cluster.New,
		cluster.NewLister,
		cluster.NewRemover,
		cluster.NewSecrets,
		cluster.NewViewer,
		fx.Annotate(internaladmin.New, fx.As(new(admin.Admin))),
		httpapi.New,
		server.AsRoutes((*httpapi.API).Routes),
		job.As(jobs.NewDeploy),
		job.As(jobs.NewDelete),
		job.As(jobs.NewSyncEnv),
		job.As(jobs.NewSyncSecret),
		job.As(jobs.NewRestore),
		auditinventory.AsInventories(inventory.New),
		fx.Annotate(outcome.New, fx.As(new(rollout.Source)), fx.As(new(rollout.Recorder))),
	),
)
