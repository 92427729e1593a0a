package jobs

import (
	"context"
	"errors"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/tasks/job"
)

// MeasureRDB is the payload: measure every SQL schema.
type MeasureRDB struct{}

// Validate returns nil.
func (MeasureRDB) Validate() error { return nil }

// OrderingKey is the type, so that executions do not overlap.
func (MeasureRDB) OrderingKey() string { return MeasureRDBType }

type measureRDB struct{ Params }

// NewMeasureRDB defines the job.
func NewMeasureRDB(p Params) job.Definition {
	return job.Define(job.Spec{Type: MeasureRDBType, Lane: job.SlowLane, Timeout: periodicTimeout}, measureRDB{p})
}

// Execute measures and stores the sizes. Schemas of databases that do not answer keep their last size.
func (j measureRDB) Execute(ctx context.Context, _ job.Task, _ MeasureRDB) error {
	sizes, _, err := j.RDB.Sizes(ctx)
	switch {
	case errors.Is(err, engine.ErrForbidden): // the sizes are unknown, and a retry does not help
		err = j.Store.DeleteSizes(ctx)
	case err != nil:
		return periodicError(rdbEngine, err)
	default:
		err = j.Store.SaveSizes(ctx, j.RDB.Name, sizes)
	}
	if err != nil {
		return databaseError("storing the sizes", err)
	}
	return nil
}
