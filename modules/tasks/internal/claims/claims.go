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
	hints, heads chan struct{}
	// everywhere says that tasks may have become ready with ids below those that were claimed.
	everywhere atomic.Bool

	// statements is held for reading while a statement that claims is under way, until its claims are in the book.
	statements sync.RWMutex
	mu         sync.Mutex
	inHand     map[store.Held]*holding
	overrun    int
	doubt      atomic.Pointer[time.Time] // of the last one; nil: none
	// longest is how long a statement whose answer was lost may still take effect.
	longest time.Duration
}

// NewBook returns an empty book with the configured lanes.
func NewTracker(c *config.Config) *Tracker {
	b := &Tracker{
		Lease: newLease(c.Tasks.Lease()), lanes: map[string]*Lane{}, hints: make(chan struct{}, 1), heads: make(chan struct{}, 1),
		inHand: map[store.Held]*holding{}, longest: c.Database.StatementTimeout,
	}
	for name, workers := range c.Tasks.WorkersOfLanes() {
		b.lanes[name] = newLane(name, workers, c.Tasks.Buffer)
	}
	return b
}

// Lanes returns the lanes, sorted by name.
func (b *Tracker) Lanes() []*Lane {
	return slices.SortedFunc(maps.Values(b.lanes), func(x, y *Lane) int {
		if x.Name < y.Name {
			return -1
		}
		return 1
	})
}

// Lane returns a lane by its name, or nil.
func (b *Tracker) Lane(name string) *Lane { return b.lanes[name] }

// Nudge says that tasks of any lane may have become ready. It never blocks.
func (b *Tracker) Notify() {
	b.everywhere.Store(true)
	for _, lane := range b.lanes {
		lane.Want()
	}
	signal(b.hints)
}

// Everywhere tells whether there was a Nudge since it was called last: then a look for tasks must not begin where the last
// one has ended.
func (b *Tracker) Everywhere() bool { return b.everywhere.Swap(false) }

// Refill has it looked for what was left behind in a lane for want of room. It never blocks.
func (b *Tracker) Refill(lane *Lane) {
	lane.Want()
	signal(b.hints)
}

// NoteHeads says that it may be the turn of these tasks of a lane, each the first that waits for its key, so that they are
// found without looking at all that wait. It never blocks. Whoever claims them looks whether it is so.
func (b *Tracker) NoteHeads(lane *Lane, ids ...int64) {
	if lane == nil || !lane.Open() || slices.Contains(ids, 0) || !lane.addHeads(ids) {
		b.Notify()
		return
	}
	b.Release(lane, 0)
}

// Release gives back room in a lane that was reserved or has become free. Once the buffer is half empty it has that filled
// with what waits.
func (b *Tracker) Release(lane *Lane, n int) {
	if lane.free.Add(int64(n)); !lane.HalfEmpty() {
		return
	}
	if lane.HeadsNoted() > 0 {
		signal(b.heads)
	}
	if lane.Backlog() {
		b.Refill(lane)
	}
}

// Free says that a worker of a lane has become free.
func (b *Tracker) Free(lane *Lane) { b.Release(lane, 0) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is on its way already
	}
}

// Hints delivers a value soon after a lane became a wanted one.
func (b *Tracker) Hints() <-chan struct{} { return b.hints }

// Heads delivers a value soon after a lane has noted heads and room for them.
func (b *Tracker) Heads() <-chan struct{} { return b.heads }

// Begin is called before a statement that claims, and the returned function after what it claimed is in the book.
func (b *Tracker) Begin() (end func()) {
	b.statements.RLock()
	return b.statements.RUnlock
}

// Add puts claims into the book and hands them to the workers of their lane, where room was reserved for them.
func (b *Tracker) Add(lane *Lane, claims ...store.Claim) {
	b.mu.Lock()
	for _, c := range claims {
		b.inHand[c.Held()] = &holding{lane: lane.Name, since: c.Since}
	}
	b.mu.Unlock()
	for _, c := range claims {
		lane.buffer <- c // has room: it was reserved
	}
}

// Done takes claims out of the book: their results are written, or they are left to the takeover. A later claim of the same
// task stays.
func (b *Tracker) Done(claims ...store.Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range claims {
		delete(b.inHand, c.Held())
	}
}

// Doubt notes that a statement which claims failed in a way that leaves open whether it took effect: there may be claims
// under this process's identity that nobody holds.
func (b *Tracker) Doubt() {
	now := time.Now()
	b.doubt.Store(&now)
}

// Review has Settle give back once what is this process's by the database and not by the book, without a reason for doubt: a
// restored row may name a claim that has ended long ago, and nobody else would take it from a process that lives.
func (b *Tracker) Review() {
	past := time.Now().Add(-b.longest - time.Millisecond)
	b.doubt.CompareAndSwap(nil, &past)
}

// Settle has the doubt removed: giveBack is told all claims in hand while no statement that claims is under way, and
// gives every other claim of this process back. It does nothing when there is no doubt, and is to be called again for as
// long as there is: the statement may take effect after this.
func (b *Tracker) Settle(giveBack func(inHand []store.Held) error) error {
	since := b.doubt.Load()
	if since == nil {
		return nil
	}
	b.statements.Lock()
	defer b.statements.Unlock()
	b.mu.Lock()
	inHand := slices.Collect(maps.Keys(b.inHand))
	b.mu.Unlock()
	// Before it is given back: what takes effect afterwards is for the next time.
	over := time.Since(*since) > b.longest
	if err := giveBack(inHand); err != nil {
		return err
	}
	if over {
		b.doubt.CompareAndSwap(since, nil)
	}
	return nil
}
