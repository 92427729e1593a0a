// Package claims tracks the claims of this process in memory: its lease, the free slots of its lanes, and the claims in
// flight.
package claims

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/tasks/internal/store"
)

// Tracker tracks the claims of one process.
type Tracker struct {
	*Lease
	lanes map[string]*Lane
	// requeued are the lanes of requeued tasks, by the same names.
	requeued map[string]*Lane
	// notified is signalled when lanes request a fetch, offered when offered tasks can be claimed.
	notified, offered chan struct{}
	// rescan is set when tasks may have become ready with ids below the lanes' scan start.
	rescan atomic.Bool

	// claiming is held for reading from before a statement that claims until its claims are tracked.
	claiming sync.RWMutex
	// lockTries is how often ResolveUncertainLater has just found claiming held.
	lockTries      atomic.Int32
	mu             sync.Mutex
	tracked        map[store.ClaimKey]*trackedClaim
	overrun        int
	uncertainSince atomic.Pointer[time.Time] // nil: no uncertain claims
	// effectTimeout is how long a statement whose answer was lost may still take effect.
	effectTimeout time.Duration
}

// NewTracker returns a tracker without claims for the configured lanes.
func NewTracker(c *config.Config) *Tracker {
	t := &Tracker{
		Lease: newLease(c.Tasks.Lease()), lanes: map[string]*Lane{}, requeued: map[string]*Lane{},
		notified: make(chan struct{}, 1), offered: make(chan struct{}, 1),
		tracked: map[store.ClaimKey]*trackedClaim{}, effectTimeout: c.Database.StatementTimeout,
	}
	for name, workers := range c.Tasks.WorkersOfLanes() {
		t.lanes[name] = newLane(name, workers, c.Tasks.Buffer)
		t.requeued[name] = newLane(name, workers, c.Tasks.Buffer)
		t.requeued[name].Requeued = true
	}
	return t
}

// Lanes returns the lanes, sorted by name, each before that of its requeued tasks.
func (t *Tracker) Lanes() []*Lane {
	all := slices.AppendSeq(slices.Collect(maps.Values(t.lanes)), maps.Values(t.requeued))
	slices.SortFunc(all, func(x, y *Lane) int { return strings.Compare(x.Label(), y.Label()) })
	return all
}

// LaneNames returns the names of the lanes.
func (t *Tracker) LaneNames() []string { return slices.Collect(maps.Keys(t.lanes)) }

// Lane returns a lane by its name, nil if it is not configured.
func (t *Tracker) Lane(name string) *Lane { return t.lanes[name] }

// Requeued returns the lane of a lane's requeued tasks.
func (t *Tracker) Requeued(name string) *Lane { return t.requeued[name] }

// Notify requests a fetch for all lanes, also of tasks below their scan start. It never blocks.
func (t *Tracker) Notify() {
	t.rescan.Store(true)
	for _, lane := range t.lanes {
		lane.RequestFetch()
	}
	signal(t.notified)
}

// TakeRescan reports whether Notify was called since the last call: the next fetch must then not start where the last
// one ended.
func (t *Tracker) TakeRescan() bool { return t.rescan.Swap(false) }

// Refill requests a fetch for a lane with a backlog. It never blocks.
func (t *Tracker) Refill(lane *Lane) {
	lane.RequestFetch()
	signal(t.notified)
}

// OfferNext offers tasks of a lane that are now the first pending ones of their keys, so that they can be claimed by
// id, without a scan. It never blocks. Claiming checks whether it is still their turn. Ids that cannot be kept, and the
// id 0, request a fetch instead.
func (t *Tracker) OfferNext(lane *Lane, ids ...int64) {
	if lane == nil || !lane.Open() || slices.Contains(ids, 0) || !lane.addNext(ids) {
		t.Notify()
		return
	}
	t.ReleaseSlots(lane, 0)
}

// ReleaseSlots returns reserved slots of a lane. Once its buffer is half empty, it requests that it be filled.
func (t *Tracker) ReleaseSlots(lane *Lane, n int) {
	if lane.freeSlots.Add(int64(n)); !lane.HalfEmpty() {
		return
	}
	if lane.NextCount() > 0 {
		signal(t.offered)
	}
	if lane.Backlog() {
		t.Refill(lane)
	}
}

// WorkerIdle is called when a worker of a lane has become idle.
func (t *Tracker) WorkerIdle(lane *Lane) { t.ReleaseSlots(lane, 0) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // a signal is pending already
	}
}

// Notified is signalled after a fetch was requested.
func (t *Tracker) Notified() <-chan struct{} { return t.notified }

// NextOffered is signalled when a lane has offered tasks and slots for them.
func (t *Tracker) NextOffered() <-chan struct{} { return t.offered }

// BeginClaim must be called before a statement that claims, and the returned function after its claims are tracked.
func (t *Tracker) BeginClaim() (end func()) {
	t.claiming.RLock()
	return t.claiming.RUnlock
}

// Add tracks claims and hands them to the workers of their lane. Slots must have been reserved for them.
func (t *Tracker) Add(lane *Lane, claims ...store.Claim) {
	t.mu.Lock()
	for _, c := range claims {
		t.tracked[c.Key()] = &trackedClaim{lane: lane.Label(), since: c.Since}
	}
	t.mu.Unlock()
	for _, c := range claims {
		lane.buffer <- c // never blocks: a slot was reserved
	}
	lane.recordNewest(claims)
}

// Release stops tracking claims: their results are written, or another process recovers them. A later claim of the same
// task stays tracked.
func (t *Tracker) Release(claims ...store.Claim) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range claims {
		delete(t.tracked, c.Key())
	}
}

// MarkUncertain records that a statement which claims failed without saying whether it took effect: this process may
// own claims in the database that it does not track.
func (t *Tracker) MarkUncertain() {
	now := time.Now()
	t.uncertainSince.Store(&now)
}

// RequestReview makes the next ResolveUncertain return untracked claims although no statement failed: a restored row
// may name an old claim of this process, which nobody else recovers while this process is alive.
func (t *Tracker) RequestReview() {
	past := time.Now().Add(-t.effectTimeout - time.Millisecond)
	t.uncertainSince.CompareAndSwap(nil, &past)
}

// ResolveUncertain calls returnUntracked with all tracked claims while no statement that claims is running; it must
// return every other claim of this process to the queue. It does nothing if no claims are uncertain. Call it
// periodically: a failed statement may still take effect for a while.
func (t *Tracker) ResolveUncertain(returnUntracked func(tracked []store.ClaimKey) error) error {
	since := t.uncertainSince.Load()
	if since == nil {
		return nil
	}
	t.claiming.Lock()
	return t.resolve(since, returnUntracked)
}

// maxLockSkips is how often ResolveUncertainLater lets running statements go first.
const maxLockSkips = 5

// ResolveUncertainLater is ResolveUncertain, but does nothing for the first few times while a statement that claims is running:
// an accept cannot begin while somebody waits for such a statement to end, and a scan may take as long as any statement.
func (t *Tracker) ResolveUncertainLater(returnUntracked func(tracked []store.ClaimKey) error) error {
	since := t.uncertainSince.Load()
	if since == nil {
		return nil
	}
	if !t.claiming.TryLock() {
		if t.lockTries.Add(1) <= maxLockSkips {
			return nil
		}
		t.claiming.Lock()
	}
	t.lockTries.Store(0)
	return t.resolve(since, returnUntracked)
}

// resolve requires claiming to be held, and releases it.
func (t *Tracker) resolve(since *time.Time, returnUntracked func(tracked []store.ClaimKey) error) error {
	defer t.claiming.Unlock()
	t.mu.Lock()
	tracked := slices.Collect(maps.Keys(t.tracked))
	t.mu.Unlock()
	// Checked before the call: what takes effect after the call is resolved by the next one.
	expired := time.Since(*since) > t.effectTimeout
	if err := returnUntracked(tracked); err != nil {
		return err
	}
	if expired {
		t.uncertainSince.CompareAndSwap(since, nil)
	}
	return nil
}
