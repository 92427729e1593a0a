package claims

import (
	"time"

	"app238.com/inner/modules/tasks/internal/store"
)

// StaleAfter is for how long a claim may wait for a worker of this process before others may have it.
const StaleAfter = time.Second

// holding is a claim in the book. Until it is begun it waits in the buffer of its lane.
type trackedClaim struct {
	lane    string
	since   time.Time
	started bool
}

// Acquire puts claims into the book that are begun at once, by whoever claimed them.
func (t *Tracker) Acquire(claims ...store.Claim) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range claims {
		t.tracked[c.Key()] = &trackedClaim{since: c.Since, started: true}
	}
}

// Begun notes that a worker has begun with a claim.
func (t *Tracker) Started(c store.Claim) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.tracked[c.Key()]; h != nil {
		h.started = true
	}
}

// Overrun counts jobs that go on though they were told to end.
func (t *Tracker) AddOverrun(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.overrun += n
}

// Work is what this process has claimed and not yet done.
type InFlight struct {
	// Waiting is how many claims no worker has begun, by lane, and Oldest for how long the oldest of them has waited.
	Waiting map[string]int
	Oldest  map[string]time.Duration
	// Overrun is how many jobs go on though they were told to end.
	AddOverrun int
}

// Work returns what this process has claimed and not yet done.
func (t *Tracker) InFlight() InFlight {
	w := InFlight{Waiting: map[string]int{}, Oldest: map[string]time.Duration{}}
	for name := range t.lanes {
		w.Waiting[name], w.Oldest[name] = 0, 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.tracked {
		if !h.started {
			w.Waiting[h.lane]++
			w.Oldest[h.lane] = max(w.Oldest[h.lane], time.Since(h.since))
		}
	}
	w.AddOverrun = t.overrun
	return w
}

// Load is Work of all lanes, as the heartbeat tells it.
func (t *Tracker) Load() store.Load {
	var l store.Load
	w := t.InFlight()
	for lane, n := range w.Waiting {
		l.Waiting += int64(n)
		l.Oldest = max(l.Oldest, w.Oldest[lane].Seconds())
	}
	l.Overrun = int64(w.AddOverrun)
	return l
}

// Drain takes out of the book, and returns, what no worker of a closed lane has begun.
func (t *Tracker) Drain() []store.Claim {
	t.claiming.Lock() // an accept that found the lane open has its claim in the buffer by now
	defer t.claiming.Unlock()
	var drained []store.Claim
	for _, lane := range t.Lanes() {
		drained = append(drained, lane.takeFront(func(store.Claim) bool { return true })...)
	}
	t.Release(drained...)
	return drained
}

// Stale is called every StaleAfter. It takes out of the book, and returns, what waits for a worker of this process for longer than others should wait for
// it. Its lane claims no more than its workers begin, until they begin soon what it claims.
func (t *Tracker) TakeStale() []store.Claim {
	var stale []store.Claim
	for _, lane := range t.Lanes() {
		taken := lane.takeFront(func(c store.Claim) bool { return time.Since(c.Since) > StaleAfter })
		lane.adaptWindow(len(taken) > 0)
		t.ReleaseSlots(lane, len(taken))
		stale = append(stale, taken...)
	}
	t.Release(stale...)
	return stale
}
