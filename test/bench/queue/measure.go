package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// queue is a party that runs in this process.
type queue struct {
	label   string
	options options
	store   *store
	// loads tells whether the party takes part in closed and open loops, burns whether it burns down.
	loads, burns bool
	// start starts it; its job function tells the watch.
	start func(ctx context.Context, w *watch) (session, error)
	// backlog writes n tasks that wait.
	backlog func(ctx context.Context, n int) error
	// finished and waiting are how many tasks lie in the table beforehand and how many are burnt down; 0: the options'.
	finished, waiting int
	// mayLag says that tasks may be left long after a load: that is noted, not an error.
	mayLag bool
	// crowd, where not nil, writes further tasks, which nobody works on.
	crowd func(ctx context.Context) error
}

// prefill is how many finished tasks lie in the table beforehand.
func (q *queue) prefill() int { return cmp.Or(q.finished, q.options.prefill) }

// left is how many tasks a burn-down has.
func (q *queue) left() int { return cmp.Or(q.waiting, q.options.backlog) }

// fresh gives the tables the state that the party begins with.
func (q *queue) fresh(ctx context.Context) error {
	if err := q.store.fresh(ctx, q.prefill()); err != nil || q.crowd == nil {
		return err
	}
	if err := q.crowd(ctx); err != nil {
		return fmt.Errorf("write tasks of others: %w", err)
	}
	return q.store.vacuum(ctx)
}

func (q *queue) name() string { return q.label }

func (q *queue) in(s scenario) func(ctx context.Context) (sample, error) {
	switch {
	case s.name == burnDown && q.burns:
		return q.burnDown
	case q.loads && s.isLoop():
		return func(ctx context.Context) (sample, error) { return q.load(ctx, s) }
	}
	return nil
}

// backlogTimeout bounds the wait for the first task of a backlog: a claimed one is taken over after the heartbeat age.
const backlogTimeout = 30 * time.Second

// cellTimeout bounds one measurement with all that belongs to it.
const cellTimeout = 3 * time.Minute

// load measures a closed or open loop: how many tasks are completed, and how long the steps take.
func (q *queue) load(ctx context.Context, s scenario) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, cellTimeout)
	defer cancel()
	w, running, before, err := q.ready(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, running.stop(ctx)) }()
	written, err := q.store.walPosition(ctx)
	if err != nil {
		return nil, err
	}
	begin := clock()
	if s.rate > 0 {
		err = openLoop(ctx, running, w, s.rate, q.options.open, q.options.late)
	} else {
		err = closedLoop(ctx, running, w, s.producers, q.options.closed)
	}
	if err != nil {
		return nil, err
	}
	sending := clock() - begin
	done, took, err := q.drain(ctx, w, w.accepted.Load(), before, begin, q.options.drain)
	if err != nil {
		return nil, err
	}
	nowWritten, err := q.store.walPosition(ctx)
	if err != nil {
		return nil, err
	}
	return sample{
		completed:   float64(done) / took.Seconds(),
		wal:         (nowWritten - written) / float64(done),
		offered:     float64(w.accepted.Load()) / sending.Seconds(),
		ackMedian:   milliseconds(w.ack.percentile(0.5)),
		ackTail:     milliseconds(w.ack.percentile(0.99)),
		startMedian: milliseconds(w.start.percentile(0.5)),
		startTail:   milliseconds(w.start.percentile(0.99)),
	}, nil
}

// burnDown measures how fast a backlog is worked off by a party that starts on it.
func (q *queue) burnDown(ctx context.Context) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, cellTimeout)
	defer cancel()
	if err := q.warmAndStop(ctx); err != nil {
		return nil, err
	}
	return q.burnOnce(ctx)
}

// warmAndStop starts the party once, stops it, and makes its tables fresh again, for a backlog.
func (q *queue) warmAndStop(ctx context.Context) error {
	_, warmed, err := q.warm(ctx)
	if err != nil {
		return err
	}
	if err := warmed.stop(ctx); err != nil {
		return err
	}
	return q.fresh(ctx)
}

// burnOnce writes a backlog, starts the party on it, and stops it when all is done.
func (q *queue) burnOnce(ctx context.Context) (_ sample, err error) {
	before, err := q.store.mark(ctx)
	if err != nil {
		return nil, err
	}
	if err := q.backlog(ctx, q.left()); err != nil {
		return nil, fmt.Errorf("write the backlog: %w", err)
	}
	if err := q.store.vacuum(ctx); err != nil {
		return nil, err
	}
	var w watch
	begin := clock()
	running, err := q.start(ctx, &w)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, running.stop(ctx)) }()
	for w.entered.Load() == 0 {
		if clock()-begin > backlogTimeout {
			return nil, fmt.Errorf("no task of the backlog was run within %s", backlogTimeout)
		}
		time.Sleep(drainPoll)
	}
	wait := time.Duration(w.firstAt.Load()) - begin
	done, took, err := q.drain(ctx, &w, int64(q.left()), before, begin, q.options.burn)
	if err != nil {
		return nil, err
	}
	return sample{
		completed: float64(done) / took.Seconds(), afterFirst: float64(done) / (took - wait).Seconds(),
		first: milliseconds(wait),
	}, nil
}

// warmLimit bounds the wait for the tasks of a warm-up.
const warmLimit = 10 * time.Second

// warm starts the party on fresh tables and lets it do some work.
func (q *queue) warm(ctx context.Context) (*watch, session, error) {
	if err := q.fresh(ctx); err != nil {
		return nil, nil, err
	}
	w := &watch{}
	running, err := q.start(ctx, w)
	if err != nil {
		return nil, nil, fmt.Errorf("start: %w", err)
	}
	err = warmUp(ctx, running, w, q.options.warmUp)
	if err == nil {
		_, _, err = q.drain(ctx, w, w.accepted.Load(), mark{ended: int64(q.prefill())}, clock(), warmLimit)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("warm-up: %w", err), running.stop(ctx))
	}
	return w, running, nil
}

// ready is warm, and then prepares what is measured: vacuumed tables, a watch that has seen nothing, and the number of tasks that
// ended beforehand.
func (q *queue) ready(ctx context.Context) (_ *watch, _ session, before mark, err error) {
	w, running, err := q.warm(ctx)
	if err != nil {
		return nil, nil, before, err
	}
	if err = q.store.vacuum(ctx); err == nil {
		before, err = q.store.mark(ctx)
	}
	if err != nil {
		return nil, nil, before, errors.Join(err, running.stop(ctx))
	}
	w.reset()
	return w, running, before, nil
}

// drainPoll is how often the database is asked whether all is done, once all was begun.
const drainPoll = 2 * time.Millisecond

// drain waits until the end of every accepted task is committed, or for limit at most, and returns how many are and how
// long that took since begin. before is the mark of that time.
func (q *queue) drain(ctx context.Context, w *watch, accepted int64, before mark, begin,
	limit time.Duration) (int64, time.Duration, error) {
	deadline := clock() + limit
	var asked time.Duration
	for asked = clock(); asked < deadline; asked = clock() {
		if w.entered.Load() >= accepted {
			open, err := q.store.isOpen(ctx, before)
			if err != nil {
				return 0, 0, err
			}
			if !open {
				deadline = 0
				break
			}
		}
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		time.Sleep(drainPoll)
	}
	took := asked - begin // all was committed when the question began
	ended, err := q.store.endedCount(ctx)
	if err != nil {
		return 0, 0, err
	}
	// More, if a burn-down before this one was cut off.
	if done := ended - before.ended; deadline > 0 || done >= accepted {
		return done, took, nil
	}
	return 0, 0, fmt.Errorf("%d tasks were accepted, %d are completed and none is open", accepted, ended-before.ended)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
