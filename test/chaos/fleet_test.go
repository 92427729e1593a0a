package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"app238.com/inner/test/chaos/faults"
)

// fleetSize is the number of replicas.
const fleetSize = 3

// fleet keeps three replicas running.
type fleet struct {
	fixture *fixture

	mu       sync.Mutex
	slots    [fleetSize]*replica
	all      []*replica // those that have ended, too
	launched int
	kills    int
	warned   int // of the kills, those in the middle of an orderly stop
}

// newFleet starts the replicas.
func newFleet(t *testing.T, w *fixture) *fleet {
	t.Helper()
	f := &fleet{fixture: w}
	t.Cleanup(func() {
		for _, r := range f.replicas() {
			r.process.Kill()
		}
	})
	var group errgroup.Group
	for slot := range fleetSize {
		group.Go(func() error { return f.fill(t.Context(), slot) })
	}
	require.NoError(t, group.Wait())
	return f
}

// fill starts a replica in a slot.
func (f *fleet) fill(ctx context.Context, slot int) error {
	f.mu.Lock()
	f.launched++
	name := fmt.Sprintf("replica-%d", f.launched)
	f.mu.Unlock()
	r, err := f.fixture.launch(ctx, name)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slots[slot] = r
	f.all = append(f.all, r)
	return nil
}

// replicas returns all that there were.
func (f *fleet) replicas() []*replica {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

// pick returns the replica in a slot by chance: as a client that does not know which of them lives.
func (f *fleet) pick(chance *rand.Rand) *replica {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.slots[chance.IntN(fleetSize)]
}

// take returns a replica to which nothing is being done, and keeps others from it; false where there is none.
func (f *fleet) take(chance *rand.Rand) (slot int, r *replica, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, slot := range chance.Perm(fleetSize) {
		if r := f.slots[slot]; r.busy.CompareAndSwap(false, true) {
			return slot, r, true
		}
	}
	return 0, nil, false
}

// killAndReplace kills a replica that was taken, so long after a stop signal, and starts another in its slot.
func (f *fleet) killAndReplace(ctx context.Context, slot int, r *replica, warning time.Duration) error {
	if warning > 0 {
		if err := r.process.SignalGroup(syscall.SIGTERM); err != nil {
			return err
		}
		faults.Pause(ctx, warning)
	}
	r.kill()
	f.mu.Lock()
	f.kills++
	if warning > 0 {
		f.warned++
	}
	f.mu.Unlock()
	return f.fill(ctx, slot)
}

// terminate ends the replicas that run, in good order.
func (f *fleet) terminate(t *testing.T) {
	t.Helper()
	for _, r := range f.slots {
		_, err := r.terminate(t.Context(), shutdownTimeout)
		require.NoError(t, err)
	}
}

// takeovers returns how many tasks the replicas say that they took over.
func (f *fleet) takeovers(t *testing.T) (tasks int) {
	t.Helper()
	for line := range bytes.Lines(f.fixture.logs(t)) {
		var l struct {
			Msg   string
			Tasks int
		}
		if json.Unmarshal(line, &l) == nil && l.Msg == "recovered tasks of a dead process" {
			tasks += l.Tasks
		}
	}
	return tasks
}
