// Package domains verifies the custom domains of users in the DNS, serves verified domains, and withdraws them when they become
// invalid or their row was changed or deleted. A failed DNS lookup never withdraws a domain.
package domains

import (
	"go.uber.org/fx"

	"app238.com/inner/app/kube"
	"app238.com/inner/app/server"
	appstatus "app238.com/inner/app/status"
	auditinventory "app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/domains/internal/check"
	"app238.com/inner/modules/domains/internal/cluster"
	"app238.com/inner/modules/domains/internal/inventory"
	"app238.com/inner/modules/domains/internal/jobs"
	"app238.com/inner/modules/domains/internal/metrics"
	"app238.com/inner/modules/domains/internal/resolve"
	"app238.com/inner/modules/domains/internal/scan"
	"app238.com/inner/modules/domains/internal/status"
	"app238.com/inner/modules/domains/internal/store"
	"app238.com/inner/modules/domains/internal/validate"
	"app238.com/inner/modules/tasks/job"
)

// Module contributes the job domain.check, the inventory of the audit and the part of `inner status`, and provides admin.Admin. It
// needs the election of the leader, which writes the objects.
var Module = fx.Module("domains",
	fx.Provide(
		store.New,
		validate.New,
		metrics.New,
		metrics.NewCollector,
		fx.Annotate(newResolver, fx.As(new(resolve.Querier))),
		resolve.NewVerifier,
		scan.New,
		check.New,
		func(e *kube.Election) cluster.Leader { return e },
		cluster.New,
		fx.Annotate(cluster.NewLister, fx.As(fx.Self()), fx.As(new(check.Objects))),
		New,
		fx.Annotate(check.NewAdmin, fx.As(new(admin.Admin))),
		auditinventory.AsInventories(inventory.New),
		appstatus.As(status.New),
		job.As(jobs.NewCheck),
		job.AsPeriodic(jobs.NewPeriodic),
		server.AsCheck(func(d *Domains) server.Check { return server.Check{Name: "domains", Degrades: true, Ready: d.Ready} }),
	),
)

// Start starts scanning rows, checking domains, and reconciling their objects, and registers the metrics.
var Start = fx.Invoke(
	func(lc fx.Lifecycle, d *Domains) { lc.Append(fx.StartStopHook(d.Start, d.Stop)) },
	func(*metrics.Collector) {},
)
