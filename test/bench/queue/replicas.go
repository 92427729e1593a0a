package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// replicaProducers is how many producers the replicas share.
const replicaProducers = 64

// replicas measures a closed loop over n replicas on one database.
func (w *fixture) replicas(ctx context.Context, n int) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, cellTimeout)
	defer cancel()
	q := w.overHTTP
	s, err := w.warmReplicas(ctx, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	before, err := q.store.mark(ctx)
	if err != nil {
		return nil, err
	}
	startCounts, err := s.entered()
	if err != nil {
		return nil, err
	}
	var seen watch
	begin := clock()
	if err := closedLoop(ctx, s, &seen, replicaProducers, 2*q.options.closed); err != nil {
		return nil, err
	}
	if err := q.allDone(ctx, &seen, before); err != nil {
		return nil, err
	}
	took := clock() - begin
	ended, err := q.store.endedCount(ctx)
	if err != nil {
		return nil, err
	}
	endCounts, err := s.entered()
	if err != nil {
		return nil, err
	}
	return sample{
		completed: float64(ended-before.ended) / took.Seconds(), ackMedian: milliseconds(seen.ack.percentile(0.5)),
		ackTail: milliseconds(seen.ack.percentile(0.99)), evenness: even(startCounts, endCounts),
	}, nil
}

// even returns the tasks of the replica that began the fewest as a share of an even part.
func even(before, after []int64) float64 {
	least, sum := float64(after[0]), 0.0
	for i, n := range after {
		count := float64(n - before[i])
		least, sum = min(least, count), sum+count
	}
	return least * float64(len(after)) / sum
}

// jobWait is how long each task of waitingReplicas waits.
const jobWait = 10 * time.Millisecond

// waitingReplicas measures how many tasks of a backlog n replicas complete whose jobs wait for something else, so that their workers
// and not the processors are what is used up.
func (w *fixture) waitingReplicas(ctx context.Context, n int) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, cellTimeout)
	defer cancel()
	s, err := w.warmReplicas(ctx, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	waiting := newNote(0)
	waiting.Wait = jobWait
	tasks := w.options.backlog
	if _, err := w.inner.db.Exec(ctx, leaveOfKeys, tasks, waiting.encode(), tasks); err != nil {
		return nil, err
	}
	if err := sleep(ctx, 2*time.Second); err != nil { // all have polled
		return nil, err
	}
	startCounts, err := s.entered()
	if err != nil {
		return nil, err
	}
	rate, err := counter(w.inner.endedCount).rateOver(ctx, 2*w.options.closed)
	if err != nil {
		return nil, err
	}
	endCounts, err := s.entered()
	if err != nil {
		return nil, err
	}
	return sample{completed: rate, evenness: even(startCounts, endCounts)}, nil
}

// warmReplicas starts n replicas on fresh tables and lets them do some work.
func (w *fixture) warmReplicas(ctx context.Context, n int) (*replicaSet, error) {
	q := w.overHTTP
	if err := q.fresh(ctx); err != nil {
		return nil, err
	}
	s, err := w.startReplicas(ctx, n)
	if err != nil {
		return nil, err
	}
	var seen watch
	err = closedLoop(ctx, s, &seen, 16, q.options.warmUp)
	if err == nil {
		err = q.allDone(ctx, &seen, mark{ended: int64(q.prefill())})
	}
	if err == nil {
		err = q.store.vacuum(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("warm-up: %w", err), s.stop(ctx))
	}
	return s, nil
}

// entered returns how many tasks each replica has begun.
func (s *replicaSet) entered() (counts []int64, err error) {
	for i := range s.replicas {
		r, err := s.replicas[i].Load().report()
		if err != nil {
			return nil, err
		}
		counts = append(counts, r.Entered)
	}
	return counts, nil
}

// replicaChurn sends a steady load to two replicas, of which one after the other is killed and replaced.
func (w *fixture) replicaChurn(ctx context.Context) (_ sample, err error) {
	o := w.options
	p := phases{o.clean, o.disturbed, o.after}
	ctx, cancel := context.WithTimeout(ctx, p.longest()+cellTimeout)
	defer cancel()
	rate, err := w.riverRate(ctx)
	if err != nil {
		return nil, err
	}
	s, err := w.warmReplicas(ctx, 2)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	before, err := w.inner.mark(ctx)
	if err != nil {
		return nil, err
	}
	seen := watch{tolerates: true}
	found := sample{offeredRate: rate}
	err = openLoopUntil(ctx, s, &seen, int(rate), p.longest(), func(ctx context.Context) error {
		return seen.phases(ctx, w.inner, w.killReplicas(s), p, w.inner.endedCount, found)
	})
	if err != nil {
		return nil, err
	}
	return found, w.overHTTP.allDone(ctx, &seen, before)
}

// killReplicas is the stress that kills the replicas in turn, and starts another in the place of each.
func (w *fixture) killReplicas(s *replicaSet) stress {
	return func(ctx context.Context, _ *store) (func() error, error) {
		killing, cancel := context.WithCancel(ctx)
		var group errgroup.Group
		group.Go(func() error {
			for i := 0; ; i++ {
				if sleep(killing, w.options.killEvery) != nil {
					return nil
				}
				place := &s.replicas[i%len(s.replicas)]
				if err := place.Load().kill(); err != nil {
					return err
				}
				next, err := w.startReplica(ctx, 0)
				if err != nil {
					return err
				}
				place.Store(next)
			}
		})
		return func() error {
			cancel()
			return group.Wait()
		}, nil
	}
}
