package platform_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// users is how many users send requests at the same time.
const users = 4

func TestPlatformConvergesAfterFaults(t *testing.T) {
	t.Parallel()
	w := newFixture(t, newExtent(t))
	f := newFleet(t, w)
	var outers []*outer
	for n := range users {
		outers = append(outers, newOuter(w, f, n))
	}
	ctx, cancel := context.WithTimeout(t.Context(), w.extent.span+20*time.Minute+timeout)
	defer cancel()
	over := make(chan struct{})
	var broken map[string]int
	group, sending := errgroup.WithContext(ctx)
	for _, o := range outers {
		group.Go(func() error { return o.run(sending, over) })
	}
	begin := time.Now()
	watching, enough := context.WithCancel(sending)
	var sizes []size
	group.Go(func() error {
		sizes = w.watch(watching, f, w.extent.sampleInterval)
		return nil
	})
	group.Go(func() (err error) {
		defer enough()
		defer close(over)
		broken, err = w.injectFaults(sending, t, f)
		return err
	})
	require.NoError(t, group.Wait(), "%s", f.tail(t))
	compare(t, sizes)
	lasted := time.Since(begin)

	rest := time.Now()
	var found []string
	resting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := until(resting, "not as accepted", func() (bool, error) {
		now := w.check(resting, outers)
		if resting.Err() == nil && !slices.Equal(now, found) {
			found = now
			t.Logf("not yet as accepted, %d:\n%s", len(found), strings.Join(found[:min(len(found), 5)], "\n"))
		}
		return len(now) == 0, nil
	})
	require.NoError(t, err, "%d:\n%s\n%s", len(found), strings.Join(found[:min(len(found), 30)], "\n"), f.tail(t))
	report(t, outers, f, broken, lasted, time.Since(rest))
	f.terminate(t)
}

// report says what was done.
func report(t *testing.T, outers []*outer, f *fleet, broken map[string]int, lasted, converged time.Duration) {
	t.Helper()
	var accepted, refused, workers, resources, domains, faults int
	for _, o := range outers {
		accepted, refused = accepted+len(o.accepted), refused+o.refused
		workers, resources, domains = workers+len(o.workers), resources+len(o.resources), domains+len(o.domains)
	}
	for name, n := range broken {
		faults += n
		t.Logf("%3d × %s", n, name)
	}
	t.Logf("%d faults in %s; %d requests accepted, %d tries refused or unanswered; %d workers, %d schemas and namespaces, %d "+
		"domains; "+
		"%d processes; at rest %s after the last fault: nothing lost, doubled or left over",
		faults, lasted.Round(time.Second), accepted, refused, workers, resources, domains, f.started, converged.Round(time.Second))
}
