package jobs

import (
	"context"
	"errors"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/tasks/job"
)

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
	case errors.Is(err, engine.ErrForbidden): // they are unknown, and nobody can do anything about it here
		err = j.Store.DeleteSizes(ctx)
	case err != nil:
		return periodicError(rdbEngine, err)
	default:
		err = j.Store.SaveSizes(ctx, j.RDB.Name, sizes)
	}
	if err != nil {
		return databaseError("noting the sizes", err)
	}
	return nil
}

// GiveUp has no row to write to: the next execution comes by itself.
func (j measureRDB) OnDiscarded(context.Context, job.Task, MeasureRDB, string) error { return nil }
