package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/modules/controller/workerapp"
)

const (
	// neverLate keeps rollouts that nobody carries out from failing.
	neverLate = "INNER_CONTROLLER_PROGRESSDEADLINE=24h"
	// growthRatio is the most that a worker may need among the most workers, as a multiple of what it needs among the fewest.
	growthRatio = 1.2
)

// measureObjects measures restarts with ever more WorkerApps whose objects exist and whose pods do not: no node, scheduler or
// controller takes part, so that one machine can hold tens of thousands.
func measureObjects(ctx context.Context, o options, found *results) (err error) {
	w, err := startFixture(ctx, true)
	if err != nil {
		return err
	}
	defer func() { err = closing(err, w.close) }()
	var heaps []float64
	made := 0
	for _, n := range o.objects {
		if err := w.addObjects(ctx, made, n); err != nil {
			return err
		}
		made = n
		name := fmt.Sprintf("objects/%d", n)
		s, err := w.measureIdleRestart(ctx, n, name, found, neverLate)
		if err != nil {
			return err
		}
		heap := float64(s.Heap) / float64(n) / kib
		found.add(name+"/memory/heap-per-worker", "KiB", heap)
		heaps = append(heaps, heap)
	}
	found.add("objects/growth", "ratio", heaps[len(heaps)-1]/heaps[0]).atMost(growthRatio)
	return nil
}

// addObjects has Inner make the objects of the workers from made to n.
func (w *fixture) addObjects(ctx context.Context, made, n int) error {
	i, err := w.startInner(ctx, neverLate)
	if err != nil {
		return err
	}
	defer i.process.Kill()
	if _, err := i.await(ctx, synced); err != nil {
		return err
	}
	// The status that a rollout is in progress is written a minute after the WorkerApp, when it has its objects.
	reported, err := w.watch(ctx, workerapp.Resource(), func(u *unstructured.Unstructured) string {
		generation, _, err := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
		if err != nil || generation == 0 {
			return ""
		}
		return u.GetName()
	})
	if err != nil {
		return err
	}
	defer reported.close()
	begun := time.Now()
	if err := each(ctx, n-made, func(ctx context.Context, i int) error { return w.deploy(ctx, workerID(made+i), 1) }); err != nil {
		return err
	}
	if err := reported.count(ctx, n); err != nil {
		return err
	}
	say("%d workers have their objects after %.0f s", n-made, time.Since(begun).Seconds())
	if _, err := i.quiet(ctx); err != nil {
		return err
	}
	return i.stop(ctx)
}
