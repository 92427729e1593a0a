// Package jobs holds the jobs of custom domains.
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

// CheckType is the job type that checks all custom domains.
const CheckType = "domain.check"

// Check is the payload, which is empty: the job covers all domains.
type Check struct{}

// Validate implements job.Payload.
func (Check) Validate() error { return nil }

// OrderingKey implements job.Payload: two of these jobs never run at once.
func (Check) OrderingKey() string { return CheckType }

type checkJob struct {
	checker *check.Checker
	log     *zap.Logger
	scanner *scan.Scanner
}

// NewCheck defines the job domain.check.
func NewCheck(c *config.Config, log *zap.Logger, checker *check.Checker, scanner *scan.Scanner) job.Definition {
	return job.Define(job.Spec{
		Type: CheckType, Aliases: []string{"DomainCheckJob", "DomainCheck", "CheckDomainJob", "CheckDomain"},
		Lane: job.SlowLane, Timeout: c.Domains.JobTimeout,
	}, checkJob{checker: checker, log: log.Named("job"), scanner: scanner})
}

// NewPeriodic schedules the job.
func NewPeriodic(c *config.Config) job.Periodic {
	return job.Periodic{Name: CheckType, Interval: c.Domains.CheckInterval, Type: CheckType, Payload: Check{}}
}

// Execute scans the rows and then checks every domain, whatever its status.
func (j checkJob) Execute(ctx context.Context, task job.Task, _ Check) error {
	if err := j.scanner.ScanAll(ctx); err != nil {
		return databaseError("reading the custom domains", err)
	}
	summary, err := j.checker.CheckAll(ctx)
	if err != nil {
		return databaseError("writing the checks", err)
	}
	j.log.Info("custom domains checked", zap.Int64("task_id", task.ID), zap.Int("valid", summary[lifecycle.Valid]),
		zap.Int("invalid", summary[lifecycle.Invalid]), zap.Int("unreachable", summary[lifecycle.Unreachable]),
		zap.Int("refused", summary[lifecycle.Refused]))
	return nil
}

// databaseError converts an error of the database to that of a task.
func databaseError(what string, err error) error {
	if database.IsUnavailable(err) {
		return job.NewUnavailable("database", err)
	}
	return job.NewRetry(what+" failed", err)
}
