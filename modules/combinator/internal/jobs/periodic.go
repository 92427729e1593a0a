package jobs

import (
	"context"
	"errors"
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

// unlessAway is engineError for a job that runs by itself: when the engine is away it waits for the next execution.
func unlessAway(name string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, engine.ErrUnavailable) {
		e := job.NewTerminal("the %s is unavailable; the next execution comes by itself", name)
		e.Cause = err
		return e
	}
	return engineError(name, err)
}

// SweepKV is the payload: remove what late writers left in deleted namespaces.
type SweepKV struct{}

// Validate accepts it.
func (SweepKV) Validate() error { return nil }

// OrderingKey is the type: never two at once.
func (SweepKV) OrderingKey() string { return SweepKVType }

type sweepKV struct{ Params }

// NewSweepKV defines the job.
func NewSweepKV(p Params) job.Definition {
	return job.Define(job.Spec{Type: SweepKVType, Lane: job.SlowLane, Timeout: periodicTimeout}, sweepKV{p})
}

// Execute sweeps.
func (j sweepKV) Execute(ctx context.Context, _ job.Task, _ SweepKV) error {
	_, err := j.KV.Sweep(ctx)
	return unlessAway(kvEngine, err)
}

// MeasureRDB is the payload: measure every SQL schema.
type MeasureRDB struct{}

// Validate accepts it.
func (MeasureRDB) Validate() error { return nil }

// OrderingKey is the type: never two at once.
func (MeasureRDB) OrderingKey() string { return MeasureRDBType }

type measureRDB struct{ Params }

// NewMeasureRDB defines the job.
func NewMeasureRDB(p Params) job.Definition {
	return job.Define(job.Spec{Type: MeasureRDBType, Lane: job.SlowLane, Timeout: periodicTimeout}, measureRDB{p})
}

// Execute measures and notes the sizes. Databases that do not answer keep their last ones.
func (j measureRDB) Execute(ctx context.Context, _ job.Task, _ MeasureRDB) error {
	sizes, _, err := j.RDB.Sizes(ctx)
	switch {
	case errors.Is(err, engine.ErrClosed): // they are unknown, and nobody can do anything about it here
		err = j.Store.ForgetSizes(ctx)
	case err != nil:
		return unlessAway(rdbEngine, err)
	default:
		err = j.Store.SaveSizes(ctx, j.RDB.Name, sizes)
	}
	if err != nil {
		return databaseError("noting the sizes", err)
	}
	return nil
}
