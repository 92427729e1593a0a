package main

import (
	"context"
	"encoding/json"
	"errors"
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
	// Hold has the task last as long as the measurement.
	Hold bool `json:"hold,omitempty"`
	// Wait has the task last so long, as one that waits for a cluster.
	Wait time.Duration `json:"wait,omitempty"`
}

// epoch is when this process began to count.
var epoch = time.Now()

// clock returns the time since 1970. It does not follow changes of the machine's clock, and is the same in replicas that were
// started since the last of these.
func clock() time.Duration { return time.Duration(epoch.UnixNano()) + time.Since(epoch) }

// watch sees what becomes of the tasks of one measurement.
type watch struct {
	ack, start histogram
	// accepted counts acknowledgements, entered the entries into the job function.
	accepted, entered atomic.Int64
	// firstAt is when the job function was entered first.
	firstAt atomic.Int64
	// held counts the tasks that are held at the moment.
	held atomic.Int64

	// tolerates has the load go on after a call that failed. refused counts those that were refused for now, refusal has their
	// times, and failed counts the others: these may have been accepted.
	tolerates       bool
	refused, failed atomic.Int64
	refusal         histogram
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

// send has a producer accept a task that is called for at a moment.
func (w *watch) send(ctx context.Context, p producer, at time.Duration) error {
	sent := clock()
	err := p.accept(ctx, newNote(at))
	switch {
	case err == nil && w.tolerates: // what waited for its turn in an overload says nothing about the queue
		w.acknowledged(sent)
		return nil
	case err == nil:
		w.acknowledged(at)
		return nil
	case !w.tolerates || ctx.Err() != nil:
		return err
	case errors.Is(err, errRefused):
		w.refused.Add(1)
		w.refusal.record(clock() - sent)
	default:
		w.failed.Add(1)
	}
	return nil
}

// errRefused says that a task was refused for now, which had no effect.
var errRefused = errors.New("429 Too Many Requests")

// reset forgets what was seen. Nothing may be under way.
func (w *watch) reset() {
	w.ack.reset()
	w.start.reset()
	w.accepted.Store(0)
	w.entered.Store(0)
	w.firstAt.Store(0)
	w.refused.Store(0)
	w.failed.Store(0)
	w.refusal.reset()
}

var keys atomic.Int64

// newNote makes the payload of a task that is called for at a moment.
func newNote(at time.Duration) note {
	return note{Key: fmt.Sprintf("bench-%d", keys.Add(1)), At: int64(at)}
}

// heldNote makes the payload of a task that lasts as long as the measurement.
func heldNote() note {
	n := newNote(0)
	n.Hold = true
	return n
}

// encode returns the payload as it is stored.
func (n note) encode() string {
	text, _ := json.Marshal(n) // has no value that JSON cannot take
	return string(text)
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
			if err := w.send(ctx, p, at); err != nil {
				return err
			}
		}
	})
}

// openLoopUntil is an open loop that lasts as long as work, longest at most.
func openLoopUntil(
	ctx context.Context, s session, w *watch, rate int, longest time.Duration, work func(ctx context.Context) error,
) error {
	group, ctx := errgroup.WithContext(ctx)
	loop, stop := context.WithCancel(ctx)
	group.Go(func() error {
		if err := openLoop(loop, s, w, rate, longest, 0); loop.Err() == nil {
			return err
		}
		return ctx.Err()
	})
	group.Go(func() error {
		defer stop()
		return work(ctx)
	})
	return group.Wait()
}

// openSenders is how many accept calls of an open loop may be under way.
const openSenders = 64

// openLoop sends at a fixed rate whether or not acknowledgements come. Times count from the moment at which a task was
// due, so that one that had to wait for others is not forgiven its wait. It gives up what is not sent soon after the end.
func openLoop(ctx context.Context, s session, w *watch, rate int, length, late time.Duration) error {
	return openLoopOf(ctx, s, w, openSenders, rate, length, late)
}

func openLoopOf(ctx context.Context, s session, w *watch, senders, rate int, length, late time.Duration) error {
	total := int(length.Seconds() * float64(rate))
	due := make(chan time.Duration, total)
	end := clock() + length + late
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return produce(ctx, s, senders, func(ctx context.Context, p producer) error {
			for at := range due {
				if clock() > end {
					return nil
				}
				if err := w.send(ctx, p, at); err != nil {
					return err
				}
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
