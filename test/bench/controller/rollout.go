package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/test/bench/steal"
)

// The bars. A new worker needs its seven objects and the status that it runs; a changed image the Deployment, the ConfigMap
// that notes the task, and the statuses that it is deployed and that it runs.
const (
	rolloutRatio  = 1.2
	writesNew     = 8
	writesChanged = 4
)

// measureRollout measures the parties in turn, and the changes on what the last rollout left.
func measureRollout(ctx context.Context, o options, found *results) error {
	parties := []string{"bare", "inner", "bare-create"}
	for run := range o.runs {
		took := map[string]float64{}
		for _, party := range parties {
			r, err := quietest(ctx, o, run, party)
			if err != nil {
				return err
			}
			found.join(r.found)
			took[party] = r.took.Seconds()
		}
		slices.Reverse(parties)
		found.add("rollout/inner:bare", "ratio", took["inner"]/took["bare"]).atMost(rolloutRatio)
		found.add("rollout/inner:bare-create", "ratio", took["inner"]/took["bare-create"])
	}
	return nil
}

// rolledOut is what came of one party's rollout.
type rolledOut struct {
	took  time.Duration
	found *results
}

// quietest measures one party's rollout, again where the host took part of the processors.
func quietest(ctx context.Context, o options, run int, party string) (rolledOut, error) {
	say("run %d: %s", run+1, party)
	return steal.Quietest(o.tries, func() (r rolledOut, err error) {
		r.found = newResults()
		if party == "inner" {
			r.took, err = innerRollout(ctx, o, r.found, run == o.runs-1)
		} else {
			r.took, err = bareRollout(ctx, o.apps, party, r.found)
		}
		return r, err
	}, func(try int, r rolledOut, taken float64) {
		say("run %d, try %d: %s took %.1f s, the host %.1f %% of the processors", run+1, try, party, r.took.Seconds(), 100*taken)
		r.found.add("rollout/"+party+"/taken-by-host", "%", 100*taken)
	})
}

func innerRollout(ctx context.Context, o options, found *results, last bool) (took time.Duration, err error) {
	w, err := newFixture(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = closing(err, w.close) }()
	var settings []string
	if last && o.profile != "" {
		settings = append(settings, profileVariable+"="+o.profile)
	}
	i, err := w.startInner(ctx, settings...)
	if err != nil {
		return 0, err
	}
	defer i.process.Kill()
	if _, err := i.await(ctx, synced); err != nil {
		return 0, err
	}
	running, err := w.watch(ctx, workerapp.Resource(), runningAt(1))
	if err != nil {
		return 0, err
	}
	defer running.close()
	begun, used := time.Now(), processorTime()
	if err := w.deployAll(ctx, o.apps, 1); err != nil {
		return 0, err
	}
	if err := running.count(ctx, o.apps); err != nil {
		return 0, err
	}
	took = time.Since(begun)
	addProcessorTime(found, "rollout/inner/cpu", used)
	found.add("rollout/inner/running", "s", took.Seconds())
	before, err := i.quiet(ctx)
	if err != nil {
		return took, err
	}
	found.add("writes/new", "writes", float64(before.objectWrites())/float64(o.apps)).atMost(writesNew)
	found.add("writes/new/events", "writes", float64(before.eventWrites())/float64(o.apps))
	found.add("reconciles/new", "reconciles", float64(before.Reconciles)/float64(o.apps))
	for path, n := range before.Writes {
		say("%7.3f a worker: %s", float64(n)/float64(o.apps), path)
	}
	if last {
		if err := w.measureChanges(ctx, i, o, found, before); err != nil {
			return took, err
		}
	}
	return took, i.stop(ctx)
}

// quietFor is how long a replica has to do nothing to count as having done all.
const quietFor = 2 * time.Second

// quiet waits until the replica reconciles nothing any more, and returns its stats.
func (i *inner) quiet(ctx context.Context) (stats, error) {
	last, since := -1, time.Now()
	return i.await(ctx, func(s stats) bool {
		if s.Reconciles != last {
			last, since = s.Reconciles, time.Now()
		}
		return time.Since(since) > quietFor
	})
}

// closing joins an error with that of closing.
func closing(err error, closer func() error) error { return errors.Join(err, closer()) }
