package claims

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxQueueDelay is how long tasks may wait while workers are idle before the accepts of their lane are limited.
	maxQueueDelay = time.Second
	// beginsPerAccept is how many tasks are begun for each that is accepted meanwhile, so that the wait becomes shorter.
	beginsPerAccept = 2
	// maxCredit limits the accepts that may follow at once where none came for a while.
	maxCredit = 1000
	// maxQuiet is how long accepts stay limited while no task is begun that waited in the database. A slow database returns many at
	// once, now and then.
	maxQuiet = 5 * time.Second
)

// admission limits the accepts of a lane while the queue itself is overloaded: tasks wait in the database, but the lane's
// workers are idle most of the time, because what feeds them waits for processors or for the database, which the accepts use
// too. Each accept would then make all others wait longer. Where the jobs are what takes the time nothing is limited: a queue is
// there to keep what is to be done later.
type admission struct {
	limited atomic.Bool

	mu sync.Mutex
	// jobs is the number of jobs that are running, busy the time that all of them ran between since and changed.
	jobs           int
	busy           time.Duration
	since, changed time.Time
	// longest is what a task begun since then has waited in the database, 0 for none, and last is when the last one was begun that
	// had waited there.
	longest time.Duration
	last    time.Time
	// credit is the number of tasks begun that were not yet used for an accept.
	credit int
}

// reset begins anew, without a limit.
func (a *admission) reset(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.limited.Store(false)
	a.busy, a.since, a.changed, a.longest = 0, now, now, 0
}

// begin records that a worker begins a task that waited in the database so long, 0 if it was claimed when it was accepted.
func (a *admission) begin(now time.Time, waited time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if waited > 0 {
		a.longest, a.last = max(a.longest, waited), now
	}
	a.credit = min(a.credit+1, beginsPerAccept*maxCredit)
}

// count records that a job starts, 1, or ends, -1.
func (a *admission) count(now time.Time, change int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.advance(now)
	a.jobs += change
}

// advance requires mu to be held.
func (a *admission) advance(now time.Time) {
	a.busy += time.Duration(a.jobs) * now.Sub(a.changed)
	a.changed = now
}

// adapt decides by what was done since the last call whether accepts are limited until the next one.
func (a *admission) adapt(now time.Time, workers int, backlog bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.advance(now)
	late, before := a.longest > maxQueueDelay, a.limited.Load()
	if a.longest == 0 {
		late = before && now.Sub(a.last) < maxQuiet
	}
	limited := late && backlog && 2*a.busy < time.Duration(workers)*now.Sub(a.since)
	if limited && !before {
		a.credit = 0
	}
	a.limited.Store(limited)
	a.busy, a.since, a.longest = 0, now, 0
}

// admit reports whether a task may be accepted now.
func (a *admission) admit() bool {
	if !a.limited.Load() {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.credit < beginsPerAccept {
		return false
	}
	a.credit -= beginsPerAccept
	return true
}
