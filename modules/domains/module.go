// Package domains verifies users' own domains, serves them while they are right, and takes them off when they are not, their
// row is gone or another one's: never for a failed DNS question.
package domains

import (
	"go.uber.org/fx"

	"app238.com/inner/app/server"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/domains/internal/check"
	"app238.com/inner/modules/domains/internal/cluster"
	"app238.com/inner/modules/domains/internal/jobs"
	"app238.com/inner/modules/domains/internal/metrics"
	"app238.com/inner/modules/domains/internal/rules"
	"app238.com/inner/modules/domains/internal/scan"
	"app238.com/inner/modules/domains/internal/store"
	"app238.com/inner/modules/domains/internal/verify"
	"app238.com/inner/modules/tasks/job"
)

// Module contributes the job domain.check and the domains' inventory for the audit, and provides overview.Domains.
var Module = fx.Module("domains",
	fx.Provide(
		store.New,
		rules.New,
		metrics.New,
		metrics.NewCount,
		fx.Annotate(verify.NewResolver, fx.As(new(verify.Resolver))),
		verify.New,
		scan.New,
		check.New,
		cluster.New,
		New,
		fx.Annotate(check.NewAdmin, fx.As(new(admin.Admin))),
		inventory.AsInventories(cluster.NewInventories),
		job.As(jobs.NewCheck),
		job.AsPeriodic(jobs.NewPeriodic),
		server.AsCheck(func(d *Domains) server.Check { return server.Check{Name: "domains", Ready: d.Ready} }),
	),
)

// Start has rows looked for, domains checked when they are due, and their objects kept as they should be.
var Start = fx.Invoke(
	func(lc fx.Lifecycle, d *Domains) { lc.Append(fx.StartStopHook(d.Start, d.Stop)) },
	func(*metrics.Count) {},
)
