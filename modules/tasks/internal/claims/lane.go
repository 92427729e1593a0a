package claims

import (
	"sync"
	"sync/atomic"

	"app238.com/inner/modules/tasks/internal/store"
)

// Lane is a buffer of claimed tasks with workers of its own, so that slow work of one lane cannot starve another.
type Lane struct {
	// Name is the lane's name in job types and in console_tasks.
	Name string
	// Workers is how many tasks of the lane run at once.
	Workers int

	buffer         chan store.Claim
	freeSlots      atomic.Int64
	backlog        atomic.Bool
	open           atomic.Bool
	fetchRequested atomic.Bool

	// busy is how many workers run a task, begun how many tasks they have begun since the last adapt. window is how many claims
	// may wait for them.
	active, started, window atomic.Int64

	mu    sync.Mutex
	heads []int64
	// lowest is the id below which no task was left that could be claimed when it was looked there last.
	scanStart int64
}

// maxHeads bounds the heads that are noted: who claims them is that far behind.
const maxNext = 1000

func newLane(name string, workers, buffer int) *Lane {
	l := &Lane{Name: name, Workers: workers, buffer: make(chan store.Claim, buffer)}
	l.freeSlots.Store(int64(buffer))
	l.window.Store(int64(buffer))
	return l
}

// Begin notes that a worker begins with a claim, and the returned function that it has done with it.
func (l *Lane) Begin() (end func()) {
	l.active.Add(1)
	l.started.Add(1)
	return func() { l.active.Add(-1) }
}

// adapt sets how many claims may wait, once a while: as many as were begun in it where some waited for too long, and else
// more and more.
func (l *Lane) adaptWindow(late bool) {
	started := l.started.Swap(0)
	if late {
		l.window.Store(min(started, int64(cap(l.buffer))))
		return
	}
	l.window.Store(min(2*l.window.Load()+int64(l.Workers), int64(cap(l.buffer))))
}

// room returns how many claims wait, those included that are being made, and how many may.
func (l *Lane) occupancy() (waiting, limit int64) {
	all := int64(cap(l.buffer))
	return all - l.freeSlots.Load(), min(all, max(l.window.Load(), int64(l.Workers)-l.active.Load()))
}

// take removes claims from the front of the buffer for as long as it is wanted, and returns them.
func (l *Lane) takeFront(match func(store.Claim) bool) (taken []store.Claim) {
	for range len(l.buffer) {
		select {
		case c := <-l.buffer:
			if !match(c) {
				l.buffer <- c // has room: its own
				return taken
			}
			taken = append(taken, c)
		default:
			return taken
		}
	}
	return taken
}

// Reserve takes room for at most n claims and returns for how many.
func (l *Lane) ReserveSlots(n int) int {
	for {
		freeSlots := l.freeSlots.Load()
		waiting, limit := l.occupancy()
		takeFront := min(int64(n), limit-waiting)
		if takeFront <= 0 {
			return 0
		}
		if l.freeSlots.CompareAndSwap(freeSlots, freeSlots-takeFront) {
			return int(takeFront)
		}
	}
}

// Claims delivers what was claimed. Whoever receives one has the book release room for one.
func (l *Lane) Claims() <-chan store.Claim { return l.buffer }

// SetBacklog notes whether the last look left pending tasks of this lane in the database, for want of room.
func (l *Lane) SetBacklog(there bool) { l.backlog.Store(there) }

// Backlog tells whether the last look left pending tasks of this lane in the database.
func (l *Lane) Backlog() bool { return l.backlog.Load() }

// Want says that there may be tasks of this lane to claim.
func (l *Lane) RequestFetch() { l.fetchRequested.Store(true) }

// Wanted tells whether there was a Want since it was called last.
func (l *Lane) TakeFetchRequest() bool { return l.fetchRequested.Swap(false) }

// HalfEmpty tells whether at most half as many claims wait as may.
func (l *Lane) HalfEmpty() bool {
	waiting, limit := l.occupancy()
	return limit > waiting && waiting*2 <= limit
}

// addHeads notes tasks to be claimed by their ids, and tells whether there was room for them.
func (l *Lane) addNext(ids []int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.heads)+len(ids) > maxNext {
		return false
	}
	l.heads = append(l.heads, ids...)
	return true
}

// HeadsNoted returns how many tasks are noted.
func (l *Lane) NextCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.heads)
}

// TakeHeads returns at most n of the noted tasks, which are noted no more.
func (l *Lane) TakeNext(n int) []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.heads))
	taken := l.heads[:n]
	l.heads = l.heads[n:]
	return taken
}

// Lowest returns the id to look for tasks from, so that all noted heads are found.
func (l *Lane) StartScan() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range l.heads {
		l.scanStart = min(l.scanStart, id)
	}
	l.heads = nil
	return l.scanStart
}

// Unclaimed is Lowest, but for the noted heads, which stay noted.
func (l *Lane) ScanStart() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.scanStart
}

// SetLowest notes that all tasks below an id that could be claimed were claimed; 0: nothing is known.
func (l *Lane) SetScanStart(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scanStart = id
}

// SetOpen says whether workers of this process take claims from the lane.
func (l *Lane) SetOpen(open bool) { l.open.Store(open) }

// Open tells whether workers of this process take claims from the lane.
func (l *Lane) Open() bool { return l.open.Load() }
