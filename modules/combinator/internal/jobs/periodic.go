package jobs

import (
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/tasks/job"
)

// The job types that run by themselves.
const (
	MeasureRDBType    = "combinator.measure_rdb"
	SweepKVType       = "combinator.sweep_kv"
	SyncPasswordsType = "combinator.sync_passwords" //nolint:gosec // a name
)

// periodicTimeout bounds an execution, which visits everything there is.
const periodicTimeout = 15 * time.Minute

// Periodics returns what runs by itself: nothing for an engine that is not there.
func Periodics(c *config.Config, rdb engine.RDB, kv engine.KV) []job.Periodic {
	var all []job.Periodic
	if rdb.Configured() {
		all = append(all, job.Periodic{Name: MeasureRDBType, Interval: c.Combinator.RDB.MeasureInterval, Type: MeasureRDBType, Payload: MeasureRDB{}})
		if c.Combinator.RDB.Roles != config.RolesNone {
			all = append(all, job.Periodic{
				Name: SyncPasswordsType, Interval: c.Combinator.RDB.PasswordInterval, Type: SyncPasswordsType, Payload: SyncPasswords{},
			})
		}
	}
	if kv.Configured() {
		all = append(all, job.Periodic{Name: SweepKVType, Interval: c.Combinator.KV.SweepInterval, Type: SweepKVType, Payload: SweepKV{}})
	}
	return all
}
