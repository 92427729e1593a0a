package tasks_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/processor"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

func TestStopDoesNotWaitForStuckOnDiscarded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.ShutdownTimeout = 50 * time.Millisecond
	b.log = zap.NewNop()
	begun, gate := make(chan struct{}), make(chan struct{})
	defer close(gate)
	b.job.execute = func(context.Context, job.Task, echo) error { return job.NewTerminal("given up") }
	b.job.onDiscarded = func(echo) error {
		close(begun)
		<-gate
		return nil
	}
	p := processor.New(b.config, b.log, b.registry, b.store, b.heartbeats, claims.NewTracker(b.config), newMetrics(t), nil)
	b.accept(t, "k", "deaf")
	require.NoError(t, p.Start(t.Context()))
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- p.Stop(context.Background()) }()
	select {
	case err := <-stopped:
		require.ErrorContains(t, err, "1 jobs did not end")
	case <-time.After(timeout):
		require.Fail(t, "it does not end")
	}
}

// patient is a job whose GiveUp ends with its context.
type patient struct {
	begun chan struct{}
	ended chan error
}

func (patient) Execute(context.Context, job.Task, echo) error { return job.NewTerminal("given up") }

func (p patient) OnDiscarded(ctx context.Context, _ job.Task, _ echo, _ string) error {
	p.begun <- struct{}{}
	<-ctx.Done()
	p.ended <- ctx.Err()
	return ctx.Err()
}

func TestOnDiscardedIsCancelledWithTheLease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.log = zap.NewNop()
	j := patient{begun: make(chan struct{}, 100), ended: make(chan error, 100)}
	require.NoError(t, b.registry.Add([]job.Definition{job.Define(job.Spec{Type: "test.patient"}, j)}))
	_, err := b.store.Insert(t.Context(), "", []store.NewTask{{Type: "test.patient", Lane: job.DefaultLane, Info: []byte(`{"text":"x"}`)}}, nil)
	require.NoError(t, err)
	tracker, _ := b.replica(t)
	<-j.begun
	process, ok := tracker.Current()
	require.True(t, ok)
	tracker.Revoke(process)
	require.ErrorIs(t, <-j.ended, context.Canceled, "others may take over its task from then on")
}
