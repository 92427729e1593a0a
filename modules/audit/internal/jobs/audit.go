// Package jobs holds the jobs of the audit.
package jobs

import (
	"context"
	"strings"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/auditor"
	"app238.com/inner/modules/tasks/job"
)

// Type is the job type of the audit.
const Type = "auth.user_audit"

// Payload is empty: an audit covers all kinds.
type Payload struct{}

// Validate implements job.Payload.
func (Payload) Validate() error { return nil }

// OrderingKey implements job.Payload: two audits never run at once.
func (Payload) OrderingKey() string { return Type }

type audit struct {
	auditor *auditor.Auditor
	log     *zap.Logger
}

// New defines the job auth.user_audit.
func New(c *config.Config, a *auditor.Auditor, log *zap.Logger) job.Definition {
	return job.Define(job.Spec{
		Type: Type, Aliases: []string{"UserAuditJob", "UserAudit"}, Lane: job.SlowLane, Timeout: c.Audit.Timeout,
	}, audit{auditor: a, log: log.Named("job")})
}

// NewPeriodic schedules the job.
func NewPeriodic(c *config.Config) job.Periodic {
	return job.Periodic{Name: Type, Interval: c.Audit.Interval, Type: Type, Payload: Payload{}, RunOnStart: true}
}

// Execute implements job.Job. An audit that runs again after a crash continues its count of deletions.
func (a audit) Execute(ctx context.Context, task job.Task, _ Payload) error {
	found, err := a.auditor.Run(ctx, task.ID, sink{a.log})
	switch {
	case err != nil && len(found.Kinds) == 0 && database.IsUnavailable(err):
		return job.NewUnavailable("database", err)
	case err != nil:
		return job.NewRetry(incomplete(found), err)
	}
	a.summarize(found)
	if reason := refusal(found); reason != "" {
		return job.NewTerminal("orphans were found and none deleted: %s", reason)
	}
	return nil
}

func (a audit) summarize(found admin.Audit) {
	for _, k := range found.Kinds {
		a.log.Info("kind audited", zap.String("kind", k.Kind), zap.Int64("objects", k.Objects), zap.Int64("rows", k.Rows),
			zap.Int64("missing", k.Missing), zap.Int64("stuck", k.Stuck), zap.Int64("ownerless", k.Ownerless),
			zap.Int64("orphans", k.Orphans), zap.Int64("repaired", k.Repaired), zap.Int64("deleted", k.Deleted))
	}
	a.log.Info("audit finished", zap.String("mode", found.Mode), zap.Int64("users", found.Users))
}

// incomplete names the kinds whose audit failed.
func incomplete(found admin.Audit) string {
	var kinds []string
	for _, k := range found.Kinds {
		if k.Error != "" {
			kinds = append(kinds, k.Kind)
		}
	}
	if len(kinds) == 0 {
		return "the audit could not be started or recorded"
	}
	return "the audit failed for: " + strings.Join(kinds, ", ")
}

// refusal returns why an audit in mode delete has deleted none of the orphans of a kind, so that an operator decides; "" if no
// orphans were found or their deletion was not refused.
func refusal(found admin.Audit) string {
	if found.Mode != config.AuditDeletes {
		return ""
	}
	for _, k := range found.Kinds {
		switch {
		case k.Orphans == 0:
		case found.Refusal != "":
			return found.Refusal
		case k.Refusal != "":
			return k.Refusal
		}
	}
	return ""
}

// sink logs findings.
type sink struct{ log *zap.Logger }

// User implements admin.Sink. There are many users, so they are logged for debugging only.
func (s sink) User(u admin.User) {
	s.log.Debug("user audited", zap.String("user_uid", u.UID), zap.Int64("workers", u.Workers),
		zap.Int64("resources", u.Resources), zap.Int64("domains", u.Domains))
}

// Finding implements admin.Sink.
func (s sink) Finding(f admin.Finding) {
	s.log.Info("finding", zap.String("problem", string(f.Problem)), zap.String("kind", f.Kind), zap.String("name", f.Name),
		zap.String("user_uid", f.Owner), zap.String("id", f.ID), zap.Strings("parts", f.Parts),
		zap.String("action", string(f.Action)), zap.String("why", f.Why))
}
