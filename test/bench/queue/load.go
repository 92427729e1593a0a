package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// note is the payload of every task: a key that no other has, and when it was called for, by the clock of this process;
// 0 where nobody asks for the time.
type note struct {
	Key string `json:"key"`
	At  int64  `json:"at"`
}

// epoch is the zero of the clock.
var epoch = time.Now()

// clock returns the time on the monotonic clock. It is never 0.
func clock() time.Duration { return time.Since(epoch) + 1 }

// watch sees what becomes of the tasks of one measurement.
type watch struct {
	ack, start histogram
	// accepted counts acknowledgements, entered the entries into the job function.
	accepted, entered atomic.Int64
	// firstAt is when the job function was entered first.
	firstAt atomic.Int64
}

// enter is called by the job function.
func (w *watch) enter(n note) {
	now := clock()
	if n.At != 0 {
		w.start.record(now - time.Duration(n.At))
	}
	if w.entered.Add(1) == 1 {
		w.firstAt.Store(int64(now))
	}
}

// acknowledged is called when an accept call for a moment was answered.
func (w *watch) acknowledged(at time.Duration) {
	w.ack.record(clock() - at)
	w.accepted.Add(1)
}

// reset forgets what was seen. Nothing may be under way.
func (w *watch) reset() {
	w.ack.reset()
	w.start.reset()
	w.accepted.Store(0)
	w.entered.Store(0)
	w.firstAt.Store(0)
}

var keys atomic.Int64

// newNote makes the payload of a task that is called for at a moment.
func newNote(at time.Duration) note {
	return note{Key: fmt.Sprintf("bench-%d", keys.Add(1)), At: int64(at)}
}

// producer sends tasks, one at a time, and returns when they are acknowledged.
type producer interface {
	accept(ctx context.Context, n note) error
	close() error
}

// session is a queue that is running.
type session interface {
	// producer returns a new producer with a connection of its own where the queue's interface has connections.
	producer(ctx context.Context) (producer, error)
	stop(ctx context.Context) error
}

// produce runs work in n producers at once and waits for all.
func produce(ctx context.Context, s session, n int, work func(ctx context.Context, p producer) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for range n {
		p, err := s.producer(ctx)
		if err != nil {
			return err
		}
		group.Go(func() error {
			defer func() { _ = p.close() }()
			return work(ctx, p)
		})
	}
	return group.Wait()
}

// warmUpRoom is how many tasks may be under way while a party warms up, so that a slow one soon ends them.
const warmUpRoom = 64

// warmUp sends load without measuring it.
func warmUp(ctx context.Context, s session, w *watch, length time.Duration) error {
	end := clock() + length
	return produce(ctx, s, 16, func(ctx context.Context, p producer) error {
		for clock() < end && ctx.Err() == nil {
			if w.accepted.Load()-w.entered.Load() > warmUpRoom {
				time.Sleep(time.Millisecond)
				continue
			}
			if err := p.accept(ctx, newNote(0)); err != nil {
				return err
			}
			w.accepted.Add(1)
		}
		return ctx.Err()
	})
}

// closedLoop has each producer send its next task as soon as the one before is acknowledged.
func closedLoop(ctx context.Context, s session, w *watch, producers int, length time.Duration) error {
	end := clock() + length
	return produce(ctx, s, producers, func(ctx context.Context, p producer) error {
		for {
			at := clock()
			if at >= end {
				return nil
			}
			if err := p.accept(ctx, newNote(at)); err != nil {
				return err
			}
			w.acknowledged(at)
		}
	})
}

// openSenders is how many accept calls of an open loop may be under way.
const openSenders = 64

// openLoop sends at a fixed rate whether or not acknowledgements come. Times count from the moment at which a task was
// due, so that one that had to wait for others is not forgiven its wait. It gives up what is not sent soon after the end.
func openLoop(ctx context.Context, s session, w *watch, rate int, length, late time.Duration) error {
	total := int(length.Seconds() * float64(rate))
	due := make(chan time.Duration, total)
	end := clock() + length + late
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return produce(ctx, s, openSenders, func(ctx context.Context, p producer) error {
			for at := range due {
				if clock() > end {
					return nil
				}
				if err := p.accept(ctx, newNote(at)); err != nil {
					return err
				}
				w.acknowledged(at)
			}
			return nil
		})
	})
	group.Go(func() error {
		defer close(due)
		return pace(ctx, rate, total, due)
	})
	return group.Wait()
}
