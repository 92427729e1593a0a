package main

import (
	"context"
	"slices"
	"time"
)

const (
	// failoverLimit is how soon after the kill of the leader another replica has to write, in seconds.
	failoverLimit = 6
	// failoverApps is how many workers the new leader finds.
	failoverApps = 200
)

// measureFailover kills the leader of two replicas, changes an image, and waits until the other replica applied it. A new replica
// takes the place of the killed one.
func measureFailover(ctx context.Context, o options, found *results) (err error) {
	w, err := newFixture(ctx)
	if err != nil {
		return err
	}
	defer func() { err = closing(err, w.close) }()
	if err := w.populate(ctx, min(failoverApps, o.apps)); err != nil {
		return err
	}
	leader, err := w.startReplica(ctx, func(s stats) bool { return s.Leading })
	if err != nil {
		return err
	}
	var times []float64
	for run := range o.failovers {
		standby, err := w.startReplica(ctx, func(s stats) bool { return s.Standby })
		if err != nil {
			leader.process.Kill()
			return err
		}
		took, err := w.failOver(ctx, leader, int64(2+run))
		leader = standby
		if err != nil {
			leader.process.Kill()
			return err
		}
		say("failover %d: %.2f s", run+1, took.Seconds())
		times = append(times, took.Seconds())
		found.add("failover/first-write", "s", took.Seconds())
	}
	leader.process.Kill()
	found.add("failover/first-write/slowest", "s", slices.Max(times)).atMost(failoverLimit)
	return nil
}

// startReplica starts a replica and returns when it has the role.
func (w *fixture) startReplica(ctx context.Context, hasRole func(stats) bool) (*inner, error) {
	i, err := w.startInner(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := i.await(ctx, hasRole); err != nil {
		i.process.Kill()
		return nil, err
	}
	return i, nil
}

// failOver kills the leader, and returns how long after that the image of one worker was changed.
func (w *fixture) failOver(ctx context.Context, leader *inner, version int64) (time.Duration, error) {
	applied, err := w.watchImage(ctx, version)
	if err != nil {
		return 0, err
	}
	defer applied.close()
	killed := time.Now()
	leader.process.Kill()
	if err := w.deploy(ctx, workerID(0), version); err != nil {
		return 0, err
	}
	at, err := applied.when(ctx, appName(workerID(0)))
	return at.Sub(killed), err
}
