// Package claims is the book of what this process holds: under which identity, how much room it has for more, and which
// claims are in its hands.
package claims

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/tasks/internal/store"
)

// Book keeps the claims of one process.
type Tracker struct {
	*Lease
	lanes map[string]*Lane
	// hints says that the database should be looked through for tasks, heads that those noted in the lanes should be claimed.
	notified, heads chan struct{}
	// everywhere says that tasks may have become ready with ids below those that were claimed.
	fullScan atomic.Bool

	// statements is held for reading while a statement that claims is under way, until its claims are in the book.
	claiming       sync.RWMutex
	mu             sync.Mutex
	tracked        map[store.ClaimKey]*trackedClaim
	overrun        int
	uncertainSince atomic.Pointer[time.Time] // of the last one; nil: none
	// longest is how long a statement whose answer was lost may still take effect.
	effectTimeout time.Duration
}

// NewBook returns an empty book with the configured lanes.
func NewTracker(c *config.Config) *Tracker {
	t := &Tracker{
		Lease: newLease(c.Tasks.Lease()), lanes: map[string]*Lane{}, notified: make(chan struct{}, 1), heads: make(chan struct{}, 1),
		tracked: map[store.ClaimKey]*trackedClaim{}, effectTimeout: c.Database.StatementTimeout,
	}
	for name, workers := range c.Tasks.WorkersOfLanes() {
		t.lanes[name] = newLane(name, workers, c.Tasks.Buffer)
	}
	return t
}

// Lanes returns the lanes, sorted by name.
func (t *Tracker) Lanes() []*Lane {
	return slices.SortedFunc(maps.Values(t.lanes), func(x, y *Lane) int {
		if x.Name < y.Name {
			return -1
		}
		return 1
	})
}

// Lane returns a lane by its name, or nil.
func (t *Tracker) Lane(name string) *Lane { return t.lanes[name] }

// Nudge says that tasks of any lane may have become ready. It never blocks.
func (t *Tracker) Notify() {
	t.fullScan.Store(true)
	for _, lane := range t.lanes {
		lane.RequestFetch()
	}
	signal(t.notified)
}

// Everywhere tells whether there was a Nudge since it was called last: then a look for tasks must not begin where the last
// one has ended.
func (t *Tracker) TakeFullScan() bool { return t.fullScan.Swap(false) }

// Refill has it looked for what was left behind in a lane for want of room. It never blocks.
func (t *Tracker) Refill(lane *Lane) {
	lane.RequestFetch()
	signal(t.notified)
}

// NoteHeads says that it may be the turn of these tasks of a lane, each the first that waits for its key, so that they are
// found without looking at all that wait. It never blocks. Whoever claims them looks whether it is so.
func (t *Tracker) OfferNext(lane *Lane, ids ...int64) {
	if lane == nil || !lane.Open() || slices.Contains(ids, 0) || !lane.addNext(ids) {
		t.Notify()
		return
	}
	t.ReleaseSlots(lane, 0)
}

// Release gives back room in a lane that was reserved or has become free. Once the buffer is half empty it has that filled
// with what waits.
func (t *Tracker) ReleaseSlots(lane *Lane, n int) {
	if lane.freeSlots.Add(int64(n)); !lane.HalfEmpty() {
		return
	}
	if lane.NextCount() > 0 {
		signal(t.heads)
	}
	if lane.Backlog() {
		t.Refill(lane)
	}
}

// Free says that a worker of a lane has become free.
func (t *Tracker) WorkerIdle(lane *Lane) { t.ReleaseSlots(lane, 0) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is on its way already
	}
}

// Hints delivers a value soon after a lane became a wanted one.
func (t *Tracker) Notified() <-chan struct{} { return t.notified }

// Heads delivers a value soon after a lane has noted heads and room for them.
func (t *Tracker) NextOffered() <-chan struct{} { return t.heads }

// Begin is called before a statement that claims, and the returned function after what it claimed is in the book.
func (t *Tracker) Begin() (end func()) {
	t.claiming.RLock()
	return t.claiming.RUnlock
}

// Add puts claims into the book and hands them to the workers of their lane, where room was reserved for them.
func (t *Tracker) Add(lane *Lane, claims ...store.Claim) {
	t.mu.Lock()
	for _, c := range claims {
		t.tracked[c.Key()] = &trackedClaim{lane: lane.Name, since: c.Since}
	}
	t.mu.Unlock()
	for _, c := range claims {
		lane.buffer <- c // has room: it was reserved
	}
}

// Done takes claims out of the book: their results are written, or they are left to the takeover. A later claim of the same
// task stays.
func (t *Tracker) Release(claims ...store.Claim) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range claims {
		delete(t.tracked, c.Key())
	}
}

// Doubt notes that a statement which claims failed in a way that leaves open whether it took effect: there may be claims
// under this process's identity that nobody holds.
func (t *Tracker) MarkUncertain() {
	now := time.Now()
	t.uncertainSince.Store(&now)
}

// Review has Settle give back once what is this process's by the database and not by the book, without a reason for doubt: a
// restored row may name a claim that has ended long ago, and nobody else would take it from a process that lives.
func (t *Tracker) RequestReview() {
	past := time.Now().Add(-t.effectTimeout - time.Millisecond)
	t.uncertainSince.CompareAndSwap(nil, &past)
}

// Settle has the doubt removed: giveBack is told all claims in hand while no statement that claims is under way, and
// gives every other claim of this process back. It does nothing when there is no doubt, and is to be called again for as
// long as there is: the statement may take effect after this.
func (t *Tracker) ResolveUncertain(returnUntracked func(tracked []store.ClaimKey) error) error {
	since := t.uncertainSince.Load()
	if since == nil {
		return nil
	}
	t.claiming.Lock()
	defer t.claiming.Unlock()
	t.mu.Lock()
	tracked := slices.Collect(maps.Keys(t.tracked))
	t.mu.Unlock()
	// Before it is given back: what takes effect afterwards is for the next time.
	over := time.Since(*since) > t.effectTimeout
	if err := returnUntracked(tracked); err != nil {
		return err
	}
	if over {
		t.uncertainSince.CompareAndSwap(since, nil)
	}
	return nil
}
