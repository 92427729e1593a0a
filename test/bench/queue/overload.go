package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// overloadSenders is how many requests of an overload may be in flight: more than Inner takes.
const overloadSenders = 4000

// recoveryWindow is the time over which a latency is taken once an overload has ended.
const recoveryWindow = 250 * time.Millisecond

// recoveryTimeout bounds the wait for the latency to be back to normal.
const recoveryTimeout = 30 * time.Second

// overload sends half of what a replica can do, then factor times of it, then half again, and measures how long the latency needs
// to be back to normal. It fails where an accepted task is lost. The replica is a process of its own: this one has enough to do.
func (w *fixture) overload(ctx context.Context, factor float64, length time.Duration) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, length+cellTimeout)
	defer cancel()
	q, o := w.overHTTP, w.options
	s, err := w.warmReplicas(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	before, err := q.store.mark(ctx)
	if err != nil {
		return nil, err
	}
	seen := watch{}
	begin := clock()
	if err := closedLoop(ctx, s, &seen, replicaProducers, o.closed); err != nil {
		return nil, err
	}
	capacity := float64(seen.accepted.Load()) / (clock() - begin).Seconds()
	normal := int(capacity / 2)
	server := s.replicas[0].Load()
	if _, err := server.reset(); err != nil {
		return nil, err
	}
	if err := openLoop(ctx, s, &seen, normal, o.open, o.late); err != nil {
		return nil, err
	}
	usual, err := server.reset()
	if err != nil {
		return nil, err
	}
	found := sample{undisturbed: capacity, offeredRate: factor * capacity, startMedian: usual.StartMedian}
	accepted := seen.accepted.Load()
	seen.ack.reset()
	seen.tolerates = true
	begin = clock()
	if err := openLoopOf(ctx, s, &seen, overloadSenders, int(factor*capacity), length, 0); err != nil {
		return nil, err
	}
	took := (clock() - begin).Seconds()
	found[offered], found[refusals] = float64(seen.accepted.Load()-accepted)/took, float64(seen.refused.Load())/took
	found[refusalTail], found[ackTail] = milliseconds(seen.refusal.percentile(0.99)), milliseconds(seen.ack.percentile(0.99))
	if n := seen.failed.Load(); n > 0 {
		return nil, fmt.Errorf("%d requests were neither accepted nor refused with 429", n)
	}
	if found[back], err = recovery(ctx, s, &seen, normal, usual.StartMedian); err != nil {
		return nil, err
	}
	return found, q.allDone(ctx, &seen, before)
}

// recovery sends the normal load and returns the seconds until the median time from call to start is at most twice the usual, in
// milliseconds.
func recovery(ctx context.Context, s *replicaSet, seen *watch, rate int, usual float64) (found float64, err error) {
	begin, server := clock(), s.replicas[0].Load()
	err = openLoopUntil(ctx, s, seen, rate, recoveryTimeout, func(ctx context.Context) error {
		for clock()-begin < recoveryTimeout {
			if _, err := server.reset(); err != nil {
				return err
			}
			found = (clock() - begin).Seconds()
			if err := sleep(ctx, recoveryWindow); err != nil {
				return err
			}
			if now, err := server.report(); err != nil || now.StartMedian > 0 && now.StartMedian <= 2*usual {
				return err
			}
		}
		return fmt.Errorf("the latency is not back to normal within %s", recoveryTimeout)
	})
	return found, err
}
