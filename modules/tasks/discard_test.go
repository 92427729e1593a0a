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
	started, gate := make(chan struct{}), make(chan struct{})
	defer close(gate)
	b.job.execute = func(context.Context, job.Task, echo) error { return job.NewTerminal("refused") }
	b.job.onDiscarded = func(echo) error {
		close(started)
		<-gate
		return nil
	}
	p := processor.New(b.config, b.log, b.registry, b.store, b.heartbeats, claims.NewTracker(b.config), newMetrics(t), nil)
	b.accept(t, "k", "stuck")
	require.NoError(t, p.Start(t.Context()))
	<-started
	stopped := make(chan error, 1)
	go func() { stopped <- p.Stop(context.Background()) }()
	select {
	case err := <-stopped:
		require.ErrorContains(t, err, "1 jobs did not stop")
	case <-time.After(timeout):
		require.Fail(t, "it does not stop")
	}
}

// waitingDiscard is a job whose OnDiscarded waits for the end of its context.
type waitingDiscard struct {
	started chan struct{}
	ended   chan error
}

func (waitingDiscard) Execute(context.Context, job.Task, echo) error {
	return job.NewTerminal("refused")
}

func (p waitingDiscard) OnDiscarded(ctx context.Context, _ job.Task, _ echo, _ string) error {
	p.started <- struct{}{}
	<-ctx.Done()
	p.ended <- ctx.Err()
	return ctx.Err()
}

func TestOnDiscardedIsCancelledWithTheLease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.log = zap.NewNop()
	j := waitingDiscard{started: make(chan struct{}, 100), ended: make(chan error, 100)}
	require.NoError(t, b.registry.Add([]job.Definition{job.Define(job.Spec{Type: "test.waiting"}, j)}))
	_, err := b.store.Insert(t.Context(), "",
		[]store.NewTask{{Type: "test.waiting", Lane: job.DefaultLane, Info: []byte(`{"text":"x"}`)}}, nil)
	require.NoError(t, err)
	tracker, _ := b.replica(t)
	<-j.started
	process, ok := tracker.Current()
	require.True(t, ok)
	tracker.Revoke(process)
	require.ErrorIs(t, <-j.ended, context.Canceled, "another process may recover its task from then on")
}
