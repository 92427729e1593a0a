package main

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/modules/controller/workerapp"
)

const (
	// freshLimit is how soon after the caches synced a fresh change has to be applied, in seconds.
	freshLimit = 1
	// peakRatio is the most that the start may need, as a multiple of the memory that stays.
	peakRatio = 1.5
	// restarts is how often a fresh change meets the backlog of a restart.
	restarts = 3
	// resyncs is how many there are in an hour with the default setting.
	resyncs = 6
	mib     = 1 << 20
	kib     = 1 << 10
)

// measureRestart has Inner make the workers once, and then starts it anew again and again.
func measureRestart(ctx context.Context, o options, found *results) (err error) {
	w, err := newFixture(ctx)
	if err != nil {
		return err
	}
	defer func() { err = closing(err, w.close) }()
	if err := w.populate(ctx, o.standing); err != nil {
		return err
	}
	if _, err := w.measureIdleRestart(ctx, o.standing, "restart", found); err != nil {
		return err
	}
	for run := range restarts {
		if err := w.measureFreshChange(ctx, o, found, run); err != nil {
			return err
		}
	}
	return w.measureResyncs(ctx, o, found)
}

func (w *fixture) populate(ctx context.Context, n int) error {
	i, err := w.startInner(ctx)
	if err != nil {
		return err
	}
	defer i.process.Kill()
	running, err := w.watch(ctx, workerapp.Resource(), runningAt(1))
	if err != nil {
		return err
	}
	defer running.close()
	begun := time.Now()
	if err := w.deployAll(ctx, n, 1); err != nil {
		return err
	}
	if err := running.count(ctx, n); err != nil {
		return err
	}
	say("%d workers run after %.0f s", n, time.Since(begun).Seconds())
	if _, err := i.quiet(ctx); err != nil {
		return err
	}
	return i.stop(ctx)
}

// measureIdleRestart starts Inner where nothing is to be done for n workers.
func (w *fixture) measureIdleRestart(ctx context.Context, n int, name string, found *results, settings ...string) (stats, error) {
	i, err := w.startInner(ctx, settings...)
	if err != nil {
		return stats{}, err
	}
	defer i.process.Kill()
	s, err := i.await(ctx, synced)
	if err != nil {
		return s, err
	}
	found.add(name+"/caches-synced", "s", s.SyncSeconds)
	if _, err := i.await(ctx, func(s stats) bool { return s.Reconciles >= n }); err != nil {
		return s, err
	}
	found.add(name+"/all-reconciled", "s", time.Since(time.Unix(0, s.Synced)).Seconds())
	if s, err = i.quiet(ctx); err != nil {
		return s, err
	}
	found.add(name+"/writes", "writes", float64(s.objectWrites())).atMost(0)
	for path, n := range s.Writes {
		say("%d writes after the start: %s", n, path)
	}
	if s, err = i.stats(ctx, "?memory"); err != nil {
		return s, err
	}
	found.add(name+"/memory/heap", "MiB", float64(s.Heap)/mib)
	found.add(name+"/memory/resident", "MiB", float64(s.Resident)/mib)
	found.add(name+"/memory/peak", "MiB", float64(s.Peak)/mib)
	found.add(name+"/memory/peak:resident", "ratio", float64(s.Peak)/float64(s.Resident)).atMost(peakRatio)
	return s, i.stop(ctx)
}

// measureFreshChange starts Inner and changes one worker as soon as its caches are synced, in front of all the others.
func (w *fixture) measureFreshChange(ctx context.Context, o options, found *results, run int) error {
	id, version := workerID(o.standing-1-run), int64(2)
	applied, err := w.watchImage(ctx, version)
	if err != nil {
		return err
	}
	defer applied.close()
	running, err := w.watch(ctx, workerapp.Resource(), runningAt(version))
	if err != nil {
		return err
	}
	defer running.close()
	i, err := w.startInner(ctx) // not before the watch knows everything: the change must not wait for that
	if err != nil {
		return err
	}
	defer i.process.Kill()
	s, err := i.await(ctx, synced)
	if err != nil {
		return err
	}
	if err := w.deploy(ctx, id, version); err != nil {
		return err
	}
	at, err := applied.when(ctx, appName(id))
	if err != nil {
		return err
	}
	found.add("restart/fresh-change-applied", "s", at.Sub(time.Unix(0, s.Synced)).Seconds()).atMost(freshLimit)
	// What ends after minReady is not to be written by the Inner that is measured next.
	if _, err := running.when(ctx, appName(id)); err != nil {
		return err
	}
	if _, err := i.quiet(ctx); err != nil {
		return err
	}
	return i.stop(ctx)
}

// watchImage notes Deployments with that version's image.
func (w *fixture) watchImage(ctx context.Context, version int64) (*lookout, error) {
	return w.watch(ctx, deployments(), func(u *unstructured.Unstructured) string {
		containers, _, err := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
		if err != nil || len(containers) == 0 {
			return ""
		}
		if container, ok := containers[0].(map[string]any); !ok || container["image"] != image(version) {
			return ""
		}
		return u.GetName()
	})
}

// measureResyncs has Inner reconcile everything as often as it does in an hour.
func (w *fixture) measureResyncs(ctx context.Context, o options, found *results) error {
	i, err := w.startInner(ctx, "INNER_CONTROLLER_RESYNCINTERVAL=1s")
	if err != nil {
		return err
	}
	defer i.process.Kill()
	s, err := i.await(ctx, func(s stats) bool { return s.Reconciles >= (1+resyncs)*o.standing })
	if err != nil {
		return err
	}
	found.add("idle-hour/reconciles", "reconciles", float64(s.Reconciles))
	found.add("idle-hour/writes", "writes", float64(s.objectWrites())).atMost(0)
	return i.stop(ctx)
}
