// Package audit compares the database with the world in both directions, has the owning modules put right what is missing
// and delete what nobody wishes any more, and knows when not to.
package audit

import (
	"go.uber.org/fx"

	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/examine"
	"app238.com/inner/modules/audit/internal/jobs"
	"app238.com/inner/modules/audit/internal/metrics"
	"app238.com/inner/modules/audit/internal/store"
	"app238.com/inner/modules/audit/internal/users"
	"app238.com/inner/modules/tasks/job"
)

// Module contributes the jobs auth.user_audit, and audit.stuck_rows, which run periodically, and provides report.Auditor.
var Module = fx.Module("audit",
	fx.Provide(
		store.New,
		users.New,
		metrics.New,
		fx.Annotate(examine.New, fx.As(fx.Self()), fx.As(new(admin.Admin)),
			fx.ParamTags("", "", "", "", "", `group:"inventories"`)),
		job.As(jobs.New),
		job.As(jobs.NewStuckRows),
		job.AsPeriodic(jobs.NewPeriodic),
		job.AsPeriodic(jobs.NewPeriodicStuckRows),
	),
)

// Start has the totals of the latest audit shown in the metrics.
var Start = fx.Invoke(func(*metrics.Totals) {})
