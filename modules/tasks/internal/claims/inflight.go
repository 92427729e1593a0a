package claims

import (
	"time"

	"app238.com/inner/modules/tasks/internal/store"
)

const (
	// AdaptInterval is how often the windows of the lanes are adapted and stale claims returned.
	AdaptInterval = 250 * time.Millisecond
	// StaleAfter is how long a claim may wait for a worker of this process before it is returned to the queue: twice as long as
	// the workers need for a window.
	StaleAfter = 2 * AdaptInterval
)

// trackedClaim is a claim in flight. Until it is started it waits in the buffer of its lane.
type trackedClaim struct {
	lane    string
	since   time.Time
	started bool
}

// Acquire tracks claims that the caller runs at once.
func (t *Tracker) Acquire(claims ...store.Claim) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range claims {
		t.tracked[c.Key()] = &trackedClaim{since: c.Since, started: true}
	}
}

// Started records that a worker started a claim.
func (t *Tracker) Started(c store.Claim) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.tracked[c.Key()]; h != nil {
		h.started = true
	}
}

// AddOverrun adds n to the number of jobs that are still running after they were cancelled.
func (t *Tracker) AddOverrun(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.overrun += n
}

// InFlight counts the claims of this process.
type InFlight struct {
	// Waiting is the number of claims that no worker has started, by lane, and Oldest how long the oldest of them has
	// waited.
	Waiting map[string]int
	Oldest  map[string]time.Duration
	// Running are the ids of the tasks whose claims are started.
	Running []int64
	// Overrun is the number of jobs that are still running after they were cancelled.
	Overrun int
}

// InFlight counts the claims of this process.
func (t *Tracker) InFlight() InFlight {
	w := InFlight{Waiting: map[string]int{}, Oldest: map[string]time.Duration{}}
	for _, lane := range t.Lanes() {
		w.Waiting[lane.Label()], w.Oldest[lane.Label()] = 0, 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, h := range t.tracked {
		if h.started {
			w.Running = append(w.Running, key.ID)
			continue
		}
		w.Waiting[h.lane]++
		w.Oldest[h.lane] = max(w.Oldest[h.lane], time.Since(h.since))
	}
	w.Overrun = t.overrun
	return w
}

// Load is InFlight summed over all lanes, for the heartbeat.
func (t *Tracker) Load() store.Load {
	var l store.Load
	w := t.InFlight()
	for lane, n := range w.Waiting {
		l.Waiting += int64(n)
		l.Oldest = max(l.Oldest, w.Oldest[lane].Seconds())
	}
	l.Overrun, l.Running = int64(w.Overrun), w.Running
	return l
}

// Drain removes and returns the claims that no worker has started. All lanes must be closed.
func (t *Tracker) Drain() []store.Claim {
	t.claiming.Lock() // accepts that found a lane open have added their claims
	defer t.claiming.Unlock()
	var drained []store.Claim
	for _, lane := range t.Lanes() {
		drained = append(drained, lane.takeFront(func(store.Claim) bool { return true })...)
	}
	t.Release(drained...)
	return drained
}

// TakeStale is called every AdaptInterval. It removes and returns the claims that have waited too long for a worker, and
// adapts the windows of the lanes: one with stale claims takes no more than its workers start.
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
