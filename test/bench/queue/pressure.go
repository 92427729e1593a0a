package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pressed is a party in the scenarios that disturb it. Each of its measurements has the undisturbed state as its first part, so
// that a ratio compares the two on one machine in one minute.
type pressed struct {
	label string
	cells cells
}

func (p *pressed) name() string { return p.label }

func (p *pressed) in(s scenario) func(ctx context.Context) (sample, error) { return p.cells[s.name] }

// The scenarios under pressure. Those with a rate have it from River: what it does undisturbed, and twice that.
const (
	heldOnce      = "held-xmin-1x"
	heldTwice     = "held-xmin-2x"
	heldBurnDown  = "held-xmin-burn-down"
	heldOneKey    = "held-xmin-one-key"
	heldTakeover  = "held-xmin-takeover"
	readersOnce   = "active-readers-1x"
	readersTwice  = "active-readers-2x"
	killed        = "killed-backends"
	connections   = "held-connections"
	overloaded    = "overload"
	shortBurst    = "burst"
	blockedKeys   = "many-keys-blocked"
	replicaChurn  = "killed-replicas"
	oneReplica    = "replicas-1"
	twoReplicas   = "replicas-2"
	fourReplicas  = "replicas-4"
	oneWaits      = "waiting-replicas-1"
	twoWait       = "waiting-replicas-2"
	fourWait      = "waiting-replicas-4"
	replicaIsBusy = "busy-replica"
)

// phases are how long the parts of a measurement under pressure last.
type phases struct {
	// clean is without the stress, stressed with it, and after is measured once it has ended.
	clean, stressed, after time.Duration
}

// longest is how long the parts last at most, with what the beginning and end of the stress take.
func (p phases) longest() time.Duration { return p.clean + p.stressed + p.after + cellTimeout }

// cells are the measurements of a party by their scenarios.
type cells map[string]func(ctx context.Context) (sample, error)

// pressedInner is Inner over HTTP in the scenarios that disturb it; the others are its burn-downs.
func (w *fixture) pressedInner(inner, dead, oneKey, claimed *queue) party {
	o, c := w.options, w.rateCells(inner)
	c[heldBurnDown], c[heldOneKey] = dead.burnUnder(heldTransaction), oneKey.burnUnder(heldTransaction)
	c[heldTakeover] = claimed.burnUnder(heldTransaction)
	c[overloaded] = func(ctx context.Context) (sample, error) { return w.overload(ctx, 1.5, o.overload) }
	c[shortBurst] = func(ctx context.Context) (sample, error) { return w.overload(ctx, 10, o.burst) }
	c[blockedKeys] = func(ctx context.Context) (sample, error) { return w.blockedKeys(ctx, inner) }
	c[replicaChurn], c[replicaIsBusy] = w.replicaChurn, w.busyReplica
	for n, name := range map[int]string{1: oneReplica, 2: twoReplicas, 4: fourReplicas} {
		c[name] = func(ctx context.Context) (sample, error) { return w.replicas(ctx, n) }
	}
	for n, name := range map[int]string{1: oneWaits, 2: twoWait, 4: fourWait} {
		c[name] = func(ctx context.Context) (sample, error) { return w.waitingReplicas(ctx, n) }
	}
	return &pressed{inner.label, c}
}

// pressedRiver is River tuned in the scenarios that it can take part in.
func (w *fixture) pressedRiver() party {
	c := w.rateCells(w.tunedRiver)
	c[heldBurnDown] = w.tunedRiver.burnUnder(heldTransaction)
	return &pressed{w.tunedRiver.label, c}
}

// rateCells are the measurements of a party at River's rate.
func (w *fixture) rateCells(q *queue) cells {
	o := w.options
	held, busy := phases{o.clean, o.held, o.after}, phases{o.clean, o.disturbed, o.after}
	atRate := func(factor float64, s stress, p phases) func(ctx context.Context) (sample, error) {
		return func(ctx context.Context) (sample, error) {
			rate, err := w.riverRate(ctx)
			if err != nil {
				return nil, err
			}
			return q.atRate(ctx, int(rate*factor), s, p)
		}
	}
	return cells{
		heldOnce: atRate(1, heldTransaction, held), heldTwice: atRate(2, heldTransaction, held),
		readersOnce: atRate(1, activeReaders, busy), readersTwice: atRate(2, activeReaders, busy),
		killed: atRate(1, killedBackends, busy), connections: atRate(1, heldConnections, busy),
	}
}

// riverRate returns what River does undisturbed, in tasks a second. It is measured once in a run.
func (w *fixture) riverRate(ctx context.Context) (float64, error) {
	if w.rate > 0 {
		return w.rate, nil
	}
	s, err := w.tunedRiver.load(ctx, scenario{name: "closed-16", producers: 16})
	if err != nil {
		return 0, fmt.Errorf("what River does undisturbed: %w", err)
	}
	w.rate = s[completed]
	say("River, undisturbed: %.0f tasks a second", w.rate)
	return w.rate, nil
}

// atRate sends tasks at a fixed rate, undisturbed, then under a stress, then undisturbed again.
func (q *queue) atRate(ctx context.Context, rate int, s stress, p phases) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.longest()+cellTimeout)
	defer cancel()
	w, running, before, err := q.ready(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, running.stop(ctx)) }()
	w.tolerates = true
	found := sample{offeredRate: float64(rate)}
	err = openLoopUntil(ctx, running, w, rate, p.longest(), func(ctx context.Context) error {
		return w.phases(ctx, q.store, s, p, w.begun, found)
	})
	if err != nil {
		return nil, err
	}
	return found, q.allDone(ctx, w, before)
}

// counter counts the tasks that were begun or completed so far.
type counter func(ctx context.Context) (int64, error)

func (w *watch) begun(context.Context) (int64, error) { return w.entered.Load(), nil }

// phases measures what is done in each phase. What is kept is that of the last third of the stress.
func (w *watch) phases(ctx context.Context, s *store, st stress, p phases, count counter, found sample) error {
	clean, err := count.rateOver(ctx, p.clean)
	if err != nil {
		return err
	}
	w.start.reset()
	end, err := st(ctx, s)
	if err != nil {
		return err
	}
	first, err := count.rateOver(ctx, p.stressed*2/3)
	if err == nil {
		w.start.reset()
		found[completed], err = count.rateOver(ctx, p.stressed/3)
	}
	found[startMedian], found[startTail] = milliseconds(w.start.percentile(0.5)), milliseconds(w.start.percentile(0.99))
	if err := errors.Join(err, end()); err != nil {
		return err
	}
	after, err := count.rateOver(ctx, p.after)
	found[undisturbed], found[kept], found[recovered] = clean, found[completed]/clean, after/clean
	found[earlier] = first / clean
	return err
}

// rateOver returns how many tasks a second are counted for a time.
func (c counter) rateOver(ctx context.Context, length time.Duration) (float64, error) {
	before, err := c(ctx)
	if err != nil {
		return 0, err
	}
	begin := clock()
	if err := sleep(ctx, length); err != nil {
		return 0, err
	}
	took := (clock() - begin).Seconds()
	after, err := c(ctx)
	return float64(after-before) / took, err
}

// doneTimeout bounds the wait for all tasks that were accepted in a measurement.
const doneTimeout = time.Minute

// allDone waits until no task is open, and fails if one that was acknowledged is not completed.
func (q *queue) allDone(ctx context.Context, w *watch, before mark) error {
	for deadline := clock() + doneTimeout; ; {
		open, err := q.store.isOpen(ctx, before)
		if err != nil {
			return err
		}
		if !open {
			break
		}
		if clock() > deadline {
			if q.mayLag {
				say("%s: not all is done %s after the load", q.label, doneTimeout)
				return nil
			}
			return fmt.Errorf("tasks are open %s after the load", doneTimeout)
		}
		if err := sleep(ctx, 10*drainPoll); err != nil {
			return err
		}
	}
	ended, err := q.store.endedCount(ctx)
	if err == nil && ended-before.ended < w.accepted.Load() {
		return fmt.Errorf("%d tasks were acknowledged, %d are completed and none is open", w.accepted.Load(), ended-before.ended)
	}
	return err
}

// burnUnder burns a backlog down over and over: undisturbed, and then under the stress until that has lasted long enough. The
// last one counts.
func (q *queue) burnUnder(s stress) func(ctx context.Context) (sample, error) {
	return func(ctx context.Context) (_ sample, err error) {
		ctx, cancel := context.WithTimeout(ctx, q.options.held+cellTimeout)
		defer cancel()
		if err := q.warmAndStop(ctx); err != nil {
			return nil, err
		}
		clean, err := q.burnOnce(ctx)
		if err != nil {
			return nil, err
		}
		end, err := s(ctx, q.store)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, end()) }()
		rounds := 0.0
		found := sample{}
		for begin := clock(); rounds == 0 || clock()-begin < q.options.held; rounds++ {
			if found, err = q.burnOnce(ctx); err != nil {
				return nil, err
			}
		}
		found[roundCount], found[undisturbed] = rounds, clean[afterFirst]
		found[kept] = found[afterFirst] / clean[afterFirst]
		return found, nil
	}
}
