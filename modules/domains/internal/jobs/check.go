// Package jobs holds the jobs of custom domains, one file a job type.
package jobs

import (
	"context"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/domains/internal/check"
	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/scan"
	"app238.com/inner/modules/tasks/job"
)

// CheckType is the job type of a check of all custom domains.
const CheckType = "domain.check"

// Check is the payload: check every custom domain now.
type Check struct{}

// Validate accepts it; there is nothing in it.
func (Check) Validate() error { return nil }

// OrderingKey is the type itself: never two at once.
func (Check) OrderingKey() string { return CheckType }

type checkAll struct {
	checker *check.Checker
	log     *zap.Logger
	pass    *scan.Scan
}

// NewCheck defines the job.
func NewCheck(c *config.Config, log *zap.Logger, checker *check.Checker, p *scan.Scan) job.Definition {
	return job.Define(job.Spec{
		Type: CheckType, Aliases: []string{"DomainCheckJob", "DomainCheck", "CheckDomainJob", "CheckDomain"},
		Lane: job.SlowLane, Timeout: c.Domains.PassTimeout,
	}, checkAll{checker: checker, log: log.Named("job"), pass: p})
}

// NewPeriodic has the job run by itself.
func NewPeriodic(c *config.Config) job.Periodic {
	return job.Periodic{Name: CheckType, Interval: c.Domains.CheckInterval, Type: CheckType, Payload: Check{}}
}

// Execute looks for rows that came, changed or vanished, and then checks every domain: pending, verified and error alike.
func (j checkAll) Execute(ctx context.Context, task job.Task, _ Check) error {
	if err := j.pass.Run(ctx); err != nil {
		return databaseError("reading the custom domains", err)
	}
	summary, err := j.checker.All(ctx)
	if err != nil {
		return databaseError("writing the checks", err)
	}
	j.log.Info("custom domains checked", zap.Int64("task_id", task.ID), zap.Int("right", summary[lifecycle.Valid]),
		zap.Int("wrong", summary[lifecycle.Invalid]), zap.Int("unknown", summary[lifecycle.Unreachable]), zap.Int("refused", summary[lifecycle.Refused]))
	return nil
}

// databaseError says what an error of the database means for a task.
func databaseError(what string, err error) error {
	if database.IsUnavailable(err) {
		return job.NewUnavailable("database", err)
	}
	return job.NewRetry(what+" failed", err)
}
