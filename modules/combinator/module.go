// Package combinator creates and deletes users' SQL schemas and key-value namespaces, and serves the Combinator pods: users'
// secret keys, usage reports, and notices of deleted resources.
package combinator

import (
	"go.uber.org/fx"

	"app238.com/inner/app/server"
	appstatus "app238.com/inner/app/status"
	auditinventory "app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/combinator/admin"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/httpapi"
	"app238.com/inner/modules/combinator/internal/inventory"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/kv"
	"app238.com/inner/modules/combinator/internal/metrics"
	"app238.com/inner/modules/combinator/internal/naming"
	"app238.com/inner/modules/combinator/internal/rdb"
	"app238.com/inner/modules/combinator/internal/status"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/combinator/internal/webhook"
	"app238.com/inner/modules/tasks/job"
)

// Module provides the jobs, routes, inventories and readiness checks of combinator, and implements admin.Admin.
var Module = fx.Module("combinator",
	fx.Provide(
		fx.Annotate(store.New, fx.As(fx.Self()), fx.As(new(jobs.Store)), fx.As(new(admin.Admin)), fx.As(new(rdb.MarkKeys))),
		fx.Annotate(webhook.New, fx.As(fx.Self()), fx.As(new(jobs.Pods))),
		fx.Annotate(rdb.New, fx.As(fx.Self()), fx.As(new(engine.RDB)), fx.OnStop((*rdb.Engine).Close)),
		fx.Annotate(kv.New, fx.As(fx.Self()), fx.As(new(engine.KV)), fx.OnStop((*kv.Engine).Stop)),
		httpapi.New,
		metrics.NewSizes,
		fx.Annotate(naming.New, fx.OnStart((*naming.Check).Start)),
		server.AsRoutes((*httpapi.API).Routes),
		job.As(jobs.NewCreateRDB),
		job.As(jobs.NewDeleteRDB),
		job.As(jobs.NewCreateKV),
		job.As(jobs.NewDeleteKV),
		job.As(jobs.NewRegisterUser),
		job.As(jobs.NewNotifyPods),
		job.As(jobs.NewRemoveTenant),
		job.As(jobs.NewMeasureRDB),
		job.As(jobs.NewSweepKV),
		job.As(jobs.NewSyncPasswords),
		auditinventory.AsInventories(inventory.New),
		fx.Annotate(jobs.Periodics, fx.ResultTags(`group:"periodic,flatten"`)),
		server.AsCheck(func(e engine.RDB) server.Check {
			return server.Check{Name: "rdb engine", Degrades: true, Ready: e.Ready}
		}),
		server.AsCheck(func(e engine.KV) server.Check { return server.Check{Name: "kv engine", Degrades: true, Ready: e.Ready} }),
		appstatus.As(status.NewRDB),
		appstatus.As(status.NewKV),
		server.AsCheck(func(c *naming.Check) server.Check { return server.Check{Name: "names in the engines", Ready: c.Ready} }),
		server.AsCheck(func(p *webhook.Pods) server.Check { return server.Check{Name: "combinator pods", Ready: p.Ready} }),
	),
	fx.Invoke(func(*metrics.Sizes, *naming.Check) {}),
)
