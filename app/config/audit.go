package config

import "time"

// Values of Audit.Mode.
const (
	AuditReports = "report"
	AuditDeletes = "delete"
)

// Audit are the settings of the comparison of the database with cluster and engines.
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

func auditLimits() limits {
	return limits{
		numbers: map[string][2]float64{
			"audit.pageSize":         {1, 100_000},
			"audit.maxObjects":       {1, 100_000_000},
			"audit.maxRepairs":       {1, 1_000_000},
			"audit.maxDeletions":     {1, 1_000_000},
			"audit.maxDeletionShare": {0, 1},
			"audit.maxShrink":        {0, 1},
		},
		durations: map[string][2]time.Duration{
			"audit.interval":      {time.Second, year},
			"audit.timeout":       {time.Second, day},
			"audit.callTimeout":   {100 * time.Millisecond, time.Hour},
			"audit.grace":         {time.Second, year},
			"audit.minAge":        {time.Second, year},
			"audit.stuckInterval": {time.Second, day},
			"audit.shrinkWindow":  {time.Second, year},
		},
	}
}

func (a Audit) validate(invalid invalidFunc) {
	if a.Mode != AuditReports && a.Mode != AuditDeletes {
		invalid("audit.mode", "must be %s or %s", AuditReports, AuditDeletes)
	}
	invalid.atMost("audit.callTimeout", a.CallTimeout, "audit.timeout", a.Timeout)
	for key, share := range map[string]float64{"audit.maxDeletionShare": a.MaxDeletionShare, "audit.maxShrink": a.MaxShrink} {
		if share == 0 {
			invalid(key, "must be above 0")
		}
	}
}
