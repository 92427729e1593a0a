package config

import "time"

// Values of Audit.Mode.
const (
	AuditReports = "report"
	AuditDeletes = "delete"
)

// Audit compares the database with the world.
type Audit struct {
	Mode             string        `mapstructure:"mode"`
	Interval         time.Duration `mapstructure:"interval"`
	Timeout          time.Duration `mapstructure:"timeout"`
	CallTimeout      time.Duration `mapstructure:"callTimeout"`
	Grace            time.Duration `mapstructure:"grace"`
	MinAge           time.Duration `mapstructure:"minAge"`
	StuckInterval    time.Duration `mapstructure:"stuckInterval"`
	PageSize         int           `mapstructure:"pageSize"`
	MaxObjects       int           `mapstructure:"maxObjects"`
	MaxRepairs       int           `mapstructure:"maxRepairs"`
	MaxDeletions     int           `mapstructure:"maxDeletions"`
	MaxDeletionShare float64       `mapstructure:"maxDeletionShare"`
	MaxShrink        float64       `mapstructure:"maxShrink"`
	ShrinkWindow     time.Duration `mapstructure:"shrinkWindow"`
}

func (a Audit) validate(fault func(key, format string, args ...any)) {
	if a.Mode != AuditReports && a.Mode != AuditDeletes {
		fault("audit.mode", "must be %s or %s", AuditReports, AuditDeletes)
	}
	for key, share := range map[string]float64{"audit.maxDeletionShare": a.MaxDeletionShare, "audit.maxShrink": a.MaxShrink} {
		if share == 0 {
			fault(key, "must be above 0")
		}
	}
}
