package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// overloadSenders is how many requests of an overload may be in flight: more than Inner takes.
const overloadSenders = 1500

// recoveryWindow is the time over which a latency is taken once an overload has ended.
const recoveryWindow = 250 * time.Millisecond

// recoveryTimeout bounds the wait for the latency to be back to normal.
const recoveryTimeout = 30 * time.Second

// overload sends half of what Inner can do, then factor times of it, then half again, and measures how long the latency needs to
// be back to normal. It fails where an accepted task is lost.
func (w *fixture) overload(ctx context.Context, q *queue, factor float64, length time.Duration) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, length+cellTimeout)
	defer cancel()
	seen, running, err := q.warm(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, running.stop(ctx)) }()
	before, err := q.store.endedCount(ctx)
	if err != nil {
		return nil, err
	}
	seen.reset()
	begin := clock()
	if err := closedLoop(ctx, running, seen, replicaProducers, q.options.closed); err != nil {
		return nil, err
	}
	capacity := float64(seen.entered.Load()) / (clock() - begin).Seconds()
	total := seen.accepted.Load()
	normal := int(capacity / 2)
	seen.reset()
	if err := openLoop(ctx, running, seen, normal, q.options.open, q.options.late); err != nil {
		return nil, err
	}
	total += seen.accepted.Load()
	usual := seen.start.percentile(0.5)
	found := sample{undisturbed: capacity, offeredRate: factor * capacity}
	seen.reset()
	seen.tolerates = true
	begin = clock()
	if err := openLoopOf(ctx, running, seen, overloadSenders, int(factor*capacity), length, 0); err != nil {
		return nil, err
	}
	took := (clock() - begin).Seconds()
	found[offered], found[refusals] = float64(seen.accepted.Load())/took, float64(seen.refused.Load())/took
	found[refusalTail], found[ackTail] = milliseconds(seen.refusal.percentile(0.99)), milliseconds(seen.ack.percentile(0.99))
	if n := seen.failed.Load(); n > 0 {
		return nil, fmt.Errorf("%d requests were neither accepted nor refused with 429", n)
	}
	if found[back], err = recovery(ctx, running, seen, q, normal, usual); err != nil {
		return nil, err
	}
	seen.accepted.Add(total)
	return found, q.allDone(ctx, seen, before)
}

// recovery sends the normal load and returns the seconds until the median time from call to start is at most twice the usual.
func recovery(ctx context.Context, s session, seen *watch, q *queue, rate int, usual time.Duration) (float64, error) {
	begin := clock()
	found := 0.0
	group, groupCtx := errgroup.WithContext(ctx)
	loop, stop := context.WithCancel(groupCtx)
	group.Go(func() error {
		if err := openLoop(loop, s, seen, rate, recoveryTimeout, 0); loop.Err() == nil {
			return err
		}
		return groupCtx.Err()
	})
	group.Go(func() error {
		defer stop()
		for clock()-begin < recoveryTimeout {
			seen.start.reset()
			if err := sleep(groupCtx, recoveryWindow); err != nil {
				return err
			}
			if median := seen.start.percentile(0.5); median > 0 && median <= 2*usual {
				found = (clock() - begin - recoveryWindow).Seconds()
				return nil
			}
		}
		return fmt.Errorf("the latency is not back to normal within %s", recoveryTimeout)
	})
	return found, group.Wait()
}
