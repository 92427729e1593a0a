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
	reports, err := s.stopAll()
	if err != nil {
		return nil, err
	}
	least, sum := float64(ended), 0.0
	for i, r := range reports {
		count := float64(r.Entered - startCounts[i])
		least, sum = min(least, count), sum+count
	}
	return sample{
		completed: float64(ended-before.ended) / took.Seconds(), ackMedian: milliseconds(seen.ack.percentile(0.5)),
		ackTail: milliseconds(seen.ack.percentile(0.99)), evenness: least * float64(n) / sum,
	}, nil
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

// holdFor is how long a held task lasts: longer than any measurement.
const holdFor = 10 * time.Minute

// busyRate is how many tasks a second busyReplica sends.
const busyRate = 200

// busyReplica sends tasks to a replica whose workers are all busy while another replica is idle.
func (w *fixture) busyReplica(ctx context.Context) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, cellTimeout)
	defer cancel()
	if err := w.overHTTP.fresh(ctx); err != nil {
		return nil, err
	}
	s, err := w.startReplicas(ctx, 1)
	if err != nil {
		return nil, err
	}
	busy := s.replicas[0].Load()
	defer func() { err = errors.Join(err, busy.kill()) }()
	p, err := s.producer(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = p.close() }()
	c, err := innerConfig(w.inner.dsn, "")
	if err != nil {
		return nil, err
	}
	workers := c.Tasks.Workers
	for range workers {
		if err := p.accept(ctx, heldNote()); err != nil {
			return nil, err
		}
	}
	if err := busy.awaitHeld(ctx, workers); err != nil {
		return nil, err
	}
	idle, err := w.startReplica(ctx, 0)
	if err != nil {
		return nil, err
	}
	var seen watch
	err = sleep(ctx, 2*time.Second) // the idle one has polled
	if err == nil {
		err = openLoop(ctx, s, &seen, busyRate, 2*w.options.open, w.options.late)
	}
	if err == nil {
		err = idle.await(ctx, func(r report) bool { return r.Entered >= seen.accepted.Load() })
	}
	last, stopErr := idle.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return nil, err
	}
	return sample{startMedian: last.StartMedian, startTail: last.StartTail}, nil
}

// awaitHeld waits until the replica holds n tasks.
func (r *replica) awaitHeld(ctx context.Context, n int) error {
	return r.await(ctx, func(found report) bool { return found.Held >= int64(n) })
}

// awaitTimeout bounds the wait for what a replica is to report.
const awaitTimeout = 30 * time.Second

// await waits until the report is as wanted.
func (r *replica) await(ctx context.Context, wanted func(report) bool) error {
	for deadline := clock() + awaitTimeout; ; {
		found, err := r.report()
		if err != nil || wanted(found) {
			return err
		}
		if clock() > deadline {
			return fmt.Errorf("%d tasks are begun and %d held after %s", found.Entered, found.Held, awaitTimeout)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// The keys that blockedKeys blocks, and the tasks that wait for them.
const (
	blockedKeyCount = 100
	blockedTasks    = 100_000
	leaveBlocked    = `INSERT INTO console_tasks (task_type, task_detailed_status, task_info, ordering_key)
		SELECT 'bench.noop', 'accepted', $2, 'blocked-' || i % $3::INT FROM generate_series(1, $1::INT) AS i`
)

// blockedKeys measures a closed loop beside a table full of tasks whose turn does not come, because the first of each key runs
// for minutes in another replica.
func (w *fixture) blockedKeys(ctx context.Context, q *queue) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*cellTimeout)
	defer cancel()
	clean, err := q.load(ctx, scenario{producers: 16})
	if err != nil {
		return nil, err
	}
	if err := q.fresh(ctx); err != nil {
		return nil, err
	}
	tasks := blockedTasks
	if w.options.quick {
		tasks /= 10
	}
	holder, err := w.startReplica(ctx, blockedKeyCount)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, holder.kill()) }()
	if _, err := w.inner.db.Exec(ctx, leaveBlocked, tasks, heldNote().encode(), blockedKeyCount); err != nil {
		return nil, err
	}
	if err := holder.awaitHeld(ctx, blockedKeyCount); err != nil {
		return nil, err
	}
	var seen watch
	running, err := q.start(ctx, &seen)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, running.stop(ctx)) }()
	err = closedLoop(ctx, running, &seen, 16, q.options.warmUp)
	if err = errors.Join(err, q.store.vacuum(ctx)); err != nil {
		return nil, err
	}
	seen.reset()
	before, begin := seen.entered.Load(), clock()
	if err := closedLoop(ctx, running, &seen, 16, q.options.closed); err != nil {
		return nil, err
	}
	done := float64(seen.entered.Load()-before) / (clock() - begin).Seconds()
	return sample{completed: done, undisturbed: clean[completed], kept: done / clean[completed],
		startMedian: milliseconds(seen.start.percentile(0.5)), startTail: milliseconds(seen.start.percentile(0.99))}, nil
}
