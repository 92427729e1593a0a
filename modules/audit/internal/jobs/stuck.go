package jobs

import (
	"context"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/audit/internal/auditor"
	"app238.com/inner/modules/tasks/job"
)

// StuckRowsType is the job type that repairs rows which are loading without an unfinished task.
const StuckRowsType = "audit.stuck_rows"

// StuckRows is the payload, which is empty: the job covers all rows.
type StuckRows struct{}

// Validate implements job.Payload.
func (StuckRows) Validate() error { return nil }

// OrderingKey implements job.Payload: two of these jobs never run at once.
func (StuckRows) OrderingKey() string { return StuckRowsType }

type stuckRows struct {
	auditor *auditor.Auditor
	log     *zap.Logger
}

// NewStuckRows defines the job audit.stuck_rows.
func NewStuckRows(c *config.Config, a *auditor.Auditor, log *zap.Logger) job.Definition {
	return job.Define(job.Spec{Type: StuckRowsType, Lane: job.SlowLane, Timeout: c.Audit.Timeout},
		stuckRows{auditor: a, log: log.Named("job")})
}

// NewPeriodicStuckRows schedules the job.
func NewPeriodicStuckRows(c *config.Config) job.Periodic {
	return job.Periodic{Name: StuckRowsType, Interval: c.Audit.StuckInterval, Type: StuckRowsType, Payload: StuckRows{}}
}

// Execute implements job.Job. A failed execution is not retried, because the job is periodic.
func (s stuckRows) Execute(ctx context.Context, task job.Task, _ StuckRows) error {
	err := s.auditor.RepairStuck(ctx, task.ID, sink{s.log})
	if err == nil {
		return nil
	}
	e := job.NewTerminal("stuck rows could not all be checked; the job is periodic and not retried")
	if database.IsUnavailable(err) {
		e = job.NewTerminal("the database is unavailable; the job is periodic and not retried")
	}
	e.Cause = err
	return e
}
