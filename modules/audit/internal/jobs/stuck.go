package jobs

import (
	"context"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/audit/internal/examine"
	"app238.com/inner/modules/tasks/job"
)

// StuckRowsType is the job type that has rows put right which are loading though no task is going to end that.
const StuckRowsType = "audit.stuck_rows"

// StuckRows is the payload, which is empty: it is about every row.
type StuckRows struct{}

// Validate implements job.Payload.
func (StuckRows) Validate() error { return nil }

// OrderingKey implements job.Payload: there are never two at once.
func (StuckRows) OrderingKey() string { return StuckRowsType }

type stuckRows struct {
	examiner *examine.Auditor
	log      *zap.Logger
}

// NewStuckRows defines the job.
func NewStuckRows(c *config.Config, e *examine.Auditor, log *zap.Logger) job.Definition {
	return job.Define(job.Spec{Type: StuckRowsType, Lane: job.SlowLane, Timeout: c.Audit.Timeout},
		stuckRows{examiner: e, log: log.Named("job")})
}

// NewPeriodicStuckRows has the job run by itself.
func NewPeriodicStuckRows(c *config.Config) job.Periodic {
	return job.Periodic{Name: StuckRowsType, Interval: c.Audit.StuckInterval, Type: StuckRowsType, Payload: StuckRows{}}
}

// Execute implements job.Job. What fails is not tried again: the next execution comes by itself.
func (s stuckRows) Execute(ctx context.Context, task job.Task, _ StuckRows) error {
	err := s.examiner.Unstick(ctx, task.ID, sink{s.log})
	if err == nil {
		return nil
	}
	e := job.NewTerminal("not every row that is loading could be looked at; the next execution comes by itself")
	if database.IsUnavailable(err) {
		e = job.NewTerminal("the database is unavailable; the next execution comes by itself")
	}
	e.Cause = err
	return e
}
