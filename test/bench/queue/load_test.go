package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// slow is a queue whose every acknowledgement takes a while, and that runs a task at once.
type slow struct {
	takes time.Duration
	watch *watch
}

func (s slow) producer(context.Context) (producer, error) { return s, nil }
func (s slow) stop(context.Context) error                 { return nil }
func (s slow) close() error                               { return nil }

func (s slow) accept(_ context.Context, n note) error {
	<-time.After(s.takes)
	s.watch.enter(n)
	return nil
}

func TestClosedLoopSendsAfterAcknowledgement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &watch{}
		require.NoError(t, closedLoop(t.Context(), slow{10 * time.Millisecond, w}, w, 3, time.Second))
		require.Equal(t, int64(300), w.accepted.Load())
		require.Equal(t, int64(300), w.entered.Load())
		require.InEpsilon(t, 10*time.Millisecond, w.ack.percentile(0.5), 0.01)
	})
}

func TestAnOpenLoopDoesNotForgiveWaiting(t *testing.T) {
	t.Parallel()
	w := &watch{}
	// 64 senders that take 64 ms each can send 1,000 a second: half of what is due.
	err := openLoop(t.Context(), slow{64 * time.Millisecond, w}, w, 2000, 500*time.Millisecond, 2*time.Second)
	require.NoError(t, err)
	require.Equal(t, int64(1000), w.accepted.Load())
	require.Greater(t, w.ack.percentile(0.99), 400*time.Millisecond)
}
