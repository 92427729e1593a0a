package jobs

import (
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/tasks/job"
)

// The job types of the periodic jobs.
const (
	MeasureRDBType    = "combinator.measure_rdb"
	SweepKVType       = "combinator.sweep_kv"
	SyncPasswordsType = "combinator.sync_passwords" //nolint:gosec // a name
)

// periodicTimeout bounds one execution, which visits all users, schemas or namespaces.
const periodicTimeout = 15 * time.Minute

// Periodics returns the periodic jobs of the configured engines.
func Periodics(c *config.Config, rdb engine.RDB, kv engine.KV) []job.Periodic {
	var all []job.Periodic
	if rdb.Configured() {
		all = append(all, job.Periodic{
			Name: MeasureRDBType, Interval: c.Combinator.RDB.MeasureInterval, Type: MeasureRDBType, Payload: MeasureRDB{},
		})
		if c.Combinator.RDB.Roles != config.RolesNone {
			all = append(all, job.Periodic{
				Name: SyncPasswordsType, Interval: c.Combinator.RDB.PasswordInterval, Type: SyncPasswordsType, Payload: SyncPasswords{},
			})
		}
	}
	if kv.Configured() {
		all = append(all, job.Periodic{
			Name: SweepKVType, Interval: c.Combinator.KV.SweepInterval, Type: SweepKVType, Payload: SweepKV{},
		})
	}
	return all
}
