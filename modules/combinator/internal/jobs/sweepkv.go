package jobs

import (
	"context"

	"app238.com/inner/modules/tasks/job"
)

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
	return periodicError(kvEngine, err)
}

// GiveUp has no row to write to: the next execution comes by itself.
func (j sweepKV) OnDiscarded(context.Context, job.Task, SweepKV, string) error { return nil }
