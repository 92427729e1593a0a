package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

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

// The keys that blockedKeys blocks, and the tasks that wait for them. leaveOfKeys leaves $1 tasks of $3 keys.
const (
	blockedKeyCount = 100
	blockedTasks    = 100_000
	leaveOfKeys     = `INSERT INTO console_tasks (task_type, task_detailed_status, task_info, ordering_key)
		SELECT 'bench.noop', 'accepted', $2, 'left-' || i % $3::INT FROM generate_series(1, $1::INT) AS i`
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
	if _, err := w.inner.db.Exec(ctx, leaveOfKeys, tasks, heldNote().encode(), blockedKeyCount); err != nil {
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
