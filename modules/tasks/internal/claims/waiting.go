package claims

import (
	"time"

	"app238.com/inner/modules/tasks/internal/store"
)

// StaleAfter is for how long a claim may wait for a worker of this process before others may have it.
const StaleAfter = time.Second

// holding is a claim in the book. Until it is begun it waits in the buffer of its lane.
type holding struct {
	lane  string
	since time.Time
	begun bool
}

// Acquire puts claims into the book that are begun at once, by whoever claimed them.
func (b *Tracker) Acquire(claims ...store.Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range claims {
		b.inHand[c.Held()] = &holding{since: c.Since, begun: true}
	}
}

// Begun notes that a worker has begun with a claim.
func (b *Tracker) Begun(c store.Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := b.inHand[c.Held()]; h != nil {
		h.begun = true
	}
}

// Overrun counts jobs that go on though they were told to end.
func (b *Tracker) Overrun(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.overrun += n
}

// Work is what this process has claimed and not yet done.
type Work struct {
	// Waiting is how many claims no worker has begun, by lane, and Oldest for how long the oldest of them has waited.
	Waiting map[string]int
	Oldest  map[string]time.Duration
	// Overrun is how many jobs go on though they were told to end.
	Overrun int
}

// Work returns what this process has claimed and not yet done.
func (b *Tracker) Work() Work {
	w := Work{Waiting: map[string]int{}, Oldest: map[string]time.Duration{}}
	for name := range b.lanes {
		w.Waiting[name], w.Oldest[name] = 0, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.inHand {
		if !h.begun {
			w.Waiting[h.lane]++
			w.Oldest[h.lane] = max(w.Oldest[h.lane], time.Since(h.since))
		}
	}
	w.Overrun = b.overrun
	return w
}

// Load is Work of all lanes, as the heartbeat tells it.
func (b *Tracker) Load() store.Load {
	var l store.Load
	w := b.Work()
	for lane, n := range w.Waiting {
		l.Waiting += int64(n)
		l.Oldest = max(l.Oldest, w.Oldest[lane].Seconds())
	}
	l.Overrun = int64(w.Overrun)
	return l
}

// Drain takes out of the book, and returns, what no worker of a closed lane has begun.
func (b *Tracker) Drain() []store.Claim {
	b.statements.Lock() // an accept that found the lane open has its claim in the buffer by now
	defer b.statements.Unlock()
	var drained []store.Claim
	for _, lane := range b.Lanes() {
		drained = append(drained, lane.take(func(store.Claim) bool { return true })...)
	}
	b.Done(drained...)
	return drained
}

// Stale is called every StaleAfter. It takes out of the book, and returns, what waits for a worker of this process for longer than others should wait for
// it. Its lane claims no more than its workers begin, until they begin soon what it claims.
func (b *Tracker) Stale() []store.Claim {
	var stale []store.Claim
	for _, lane := range b.Lanes() {
		taken := lane.take(func(c store.Claim) bool { return time.Since(c.Since) > StaleAfter })
		lane.adapt(len(taken) > 0)
		b.Release(lane, len(taken))
		stale = append(stale, taken...)
	}
	b.Done(stale...)
	return stale
}
