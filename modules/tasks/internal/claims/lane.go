package claims

import (
	"sync"
	"sync/atomic"
	"time"

	"app238.com/inner/modules/tasks/internal/store"
)

// Lane is a buffer of claimed tasks with workers of its own, so that slow tasks of one lane cannot starve another.
type Lane struct {
	// Name is the lane's name in job types and in console_tasks.
	Name string
	// Requeued: it has the tasks of that name that were delayed after an earlier claim, and another Lane has the rest. Attempts
	// that wait in vain for something that is away cannot hold up tasks that need it not.
	Requeued bool
	// Workers is the number of tasks of the lane that run at once.
	Workers int

	buffer         chan store.Claim
	freeSlots      atomic.Int64
	backlog        atomic.Bool
	open           atomic.Bool
	fetchRequested atomic.Bool

	// active is the number of workers that run a task, started the number of tasks started since the last adaptWindow,
	// and window the number of claims that may wait for a worker.
	active, started, window atomic.Int64
	admission               admission

	mu   sync.Mutex
	next []int64 // offered tasks
	// scanStart is the id below which the last scan left no task that could be claimed.
	scanStart int64
	// full has the next scan begin at the lowest id instead.
	full bool
	// newest is the highest id of the last claims, newestBefore what it was an AdaptInterval ago, and floor what it was before
	// that: tasks with lower ids are committed by now.
	newest, newestBefore, floor int64
}

// maxNext limits the offered tasks of a lane.
const maxNext = 1000

func newLane(name string, workers, buffer int) *Lane {
	l := &Lane{Name: name, Workers: workers, buffer: make(chan store.Claim, buffer)}
	l.freeSlots.Store(int64(buffer))
	l.window.Store(int64(buffer))
	return l
}

// Label returns the name of the lane in metrics.
func (l *Lane) Label() string {
	if l.Requeued {
		return l.Name + "/requeued"
	}
	return l.Name
}

// StartTask counts a worker as active until the returned function is called. The task waited in the database so long, 0 if it was
// claimed when it was accepted.
func (l *Lane) StartTask(waited time.Duration) (end func()) {
	l.active.Add(1)
	l.started.Add(1)
	l.admission.begin(time.Now(), waited)
	return func() { l.active.Add(-1) }
}

// StartJob counts the job of a started task as running until the returned function is called. A worker that waits until others
// can write the result runs a task, but no job.
func (l *Lane) StartJob() (end func()) {
	l.admission.count(time.Now(), 1)
	return func() { l.admission.count(time.Now(), -1) }
}

// Admit reports whether a task of this lane may be accepted now. While it says no for one, it says yes as tasks of the lane are
// begun.
func (l *Lane) Admit() bool { return !l.Open() || l.admission.admit() }

// Limited reports whether the accepts of this lane are limited to what is begun, because its tasks wait although workers are
// idle.
func (l *Lane) Limited() bool { return l.Open() && l.admission.limited.Load() }

// adaptWindow is called every AdaptInterval. The window is the buffer while workers are idle. If all are active it is what they
// started in that time, and one for each of them, but nothing while all run long tasks. If claims waited too long it is only what
// was started.
func (l *Lane) adaptWindow(late bool) {
	started, window := l.started.Swap(0), int64(cap(l.buffer))
	switch busy := l.active.Load() >= int64(l.Workers); {
	case late, busy && started == 0:
		window = min(window, started)
	case busy:
		window = min(window, started+int64(l.Workers))
	}
	l.window.Store(window)
	l.admission.adapt(time.Now(), l.Workers, l.Backlog())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.floor, l.newestBefore = l.newestBefore, l.newest
}

// occupancy returns how many claims wait, including reserved slots, and how many may.
func (l *Lane) occupancy() (waiting, limit int64) {
	all, idle := int64(cap(l.buffer)), int64(l.Workers)-l.active.Load()
	// What was started since the window was adapted counts too: after a stall the window would be small for AdaptInterval.
	return all - l.freeSlots.Load(), min(all, max(l.window.Load(), l.started.Load()+idle))
}

// recordNewest records what was claimed last. After a restore of the database the ids are lower than before.
func (l *Lane) recordNewest(claims []store.Claim) {
	if len(claims) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest = 0
	for _, c := range claims {
		l.newest = max(l.newest, c.ID)
	}
}

// takeFront removes and returns claims from the front of the buffer while they match.
func (l *Lane) takeFront(match func(store.Claim) bool) (taken []store.Claim) {
	for range len(l.buffer) {
		select {
		case c := <-l.buffer:
			if !match(c) {
				l.buffer <- c // never blocks: its own slot
				return taken
			}
			taken = append(taken, c)
		default:
			return taken
		}
	}
	return taken
}

// ReserveSlots reserves at most n slots and returns how many.
func (l *Lane) ReserveSlots(n int) int {
	for {
		free := l.freeSlots.Load()
		waiting, limit := l.occupancy()
		slots := min(int64(n), limit-waiting)
		if slots <= 0 {
			return 0
		}
		if l.freeSlots.CompareAndSwap(free, free-slots) {
			return int(slots)
		}
	}
}

// Claims delivers the claims to the workers. The receiver of a claim must release its slot.
func (l *Lane) Claims() <-chan store.Claim { return l.buffer }

// SetBacklog records whether the last fetch left pending tasks of this lane in the database because no slot was free.
func (l *Lane) SetBacklog(exists bool) { l.backlog.Store(exists) }

// Backlog reports whether the last fetch left pending tasks of this lane in the database.
func (l *Lane) Backlog() bool { return l.backlog.Load() }

// RequestFetch records that there may be tasks of this lane to claim.
func (l *Lane) RequestFetch() { l.fetchRequested.Store(true) }

// TakeFetchRequest reports whether RequestFetch was called since the last call.
func (l *Lane) TakeFetchRequest() bool { return l.fetchRequested.Swap(false) }

// HalfEmpty reports whether at most half of the claims wait that may.
func (l *Lane) HalfEmpty() bool {
	waiting, limit := l.occupancy()
	return limit > waiting && waiting*2 <= limit
}

// addNext adds offered tasks, and reports false if there are too many.
func (l *Lane) addNext(ids []int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.next)+len(ids) > maxNext {
		return false
	}
	l.next = append(l.next, ids...)
	return true
}

// NextCount returns the number of offered tasks.
func (l *Lane) NextCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.next)
}

// TakeNext removes and returns at most n offered tasks.
func (l *Lane) TakeNext(n int) []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.next))
	taken := l.next[:n]
	l.next = l.next[n:]
	return taken
}

// StartScan returns the id from which a scan finds all claimable tasks, including the offered ones, which it forgets.
func (l *Lane) StartScan() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range l.next {
		l.scanStart = min(l.scanStart, id)
	}
	l.next = nil
	return l.lowest()
}

// lowest requires mu to be held.
func (l *Lane) lowest() int64 {
	if l.full {
		return 0
	}
	return l.scanStart
}

// ScanStart returns the id from which a scan finds all claimable tasks except the offered ones.
func (l *Lane) ScanStart() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lowest()
}

// RequestFullScan makes the next scan begin at the lowest id.
func (l *Lane) RequestFullScan() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = true
}

// LowerScanStart makes the next scan begin at id at the latest.
func (l *Lane) LowerScanStart(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scanStart = min(l.scanStart, id)
}

// ScanEnded records that a scan claimed the tasks up to the id last. If it found no further ones, the next scan begins a little
// before the newest claimed task: only tasks accepted lately can have been committed since.
func (l *Lane) ScanEnded(last int64, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if more {
		l.scanStart = last + 1
	} else {
		l.scanStart = max(l.lowest(), l.floor)
	}
	l.full = false
}

// ScanFailed records that a scan failed. The next ones begin where they would have without a full scan, which may have failed
// because of all the ended tasks that it reads; the next full scan has its own time.
func (l *Lane) ScanFailed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = false
}

// SetOpen records whether workers of this process take claims from the lane.
func (l *Lane) SetOpen(open bool) {
	l.admission.reset(time.Now())
	l.open.Store(open)
}

// Open reports whether workers of this process take claims from the lane.
func (l *Lane) Open() bool { return l.open.Load() }
