// Package audit compares the desired state of the database with the actual state, in both directions. It has the owning modules
// make what is missing and delete orphans, within limits that protect against lost rows.
package audit

import (
	"go.uber.org/fx"

	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/auditor"
	"app238.com/inner/modules/audit/internal/jobs"
	"app238.com/inner/modules/audit/internal/metrics"
	"app238.com/inner/modules/audit/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// Module contributes the periodic jobs auth.user_audit and audit.stuck_rows, and provides admin.Admin.
var Module = fx.Module("audit",
	fx.Provide(
		store.New,
		metrics.New,
		fx.Annotate(auditor.New, fx.As(fx.Self()), fx.As(new(admin.Admin))),
		job.As(jobs.New),
		job.As(jobs.NewStuckRows),
		job.AsPeriodic(jobs.NewPeriodic),
		job.AsPeriodic(jobs.NewPeriodicStuckRows),
	),
)

// Start registers the metrics of the latest audit.
var Start = fx.Invoke(func(*metrics.Totals) {})
