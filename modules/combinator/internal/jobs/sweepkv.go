package jobs

import (
	"context"

	"app238.com/inner/modules/tasks/job"
)

// SweepKV is the payload: delete the keys that late writers left in deleted namespaces.
type SweepKV struct{}

// Validate returns nil.
func (SweepKV) Validate() error { return nil }

// OrderingKey is the type, so that executions do not overlap.
func (SweepKV) OrderingKey() string { return SweepKVType }

type sweepKV struct{ Params }

// NewSweepKV defines the job.
func NewSweepKV(p Params) job.Definition {
	return job.Define(job.Spec{Type: SweepKVType, Lane: job.SlowLane, Timeout: periodicTimeout}, sweepKV{p})
}

// Execute sweeps the deleted namespaces.
func (j sweepKV) Execute(ctx context.Context, _ job.Task, _ SweepKV) error {
	_, err := j.KV.Sweep(ctx)
	return periodicError(kvEngine, err)
}
