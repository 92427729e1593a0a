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

	buffer  chan store.Claim
	free    atomic.Int64
	backlog atomic.Bool
	open    atomic.Bool
	wanted  atomic.Bool

	// busy is how many workers run a task, begun how many tasks they have begun since the last adapt. window is how many claims
	// may wait for them.
	busy, begun, window atomic.Int64

	mu    sync.Mutex
	heads []int64
	// lowest is the id below which no task was left that could be claimed when it was looked there last.
	lowest int64
}

// maxHeads bounds the heads that are noted: who claims them is that far behind.
const maxHeads = 1000

func newLane(name string, workers, buffer int) *Lane {
	l := &Lane{Name: name, Workers: workers, buffer: make(chan store.Claim, buffer)}
	l.free.Store(int64(buffer))
	l.window.Store(int64(buffer))
	return l
}

// Begin notes that a worker begins with a claim, and the returned function that it has done with it.
func (l *Lane) Begin() (end func()) {
	l.busy.Add(1)
	l.begun.Add(1)
	return func() { l.busy.Add(-1) }
}

// adapt sets how many claims may wait, once a while: as many as were begun in it where some waited for too long, and else
// more and more.
func (l *Lane) adapt(late bool) {
	begun := l.begun.Swap(0)
	if late {
		l.window.Store(min(begun, int64(cap(l.buffer))))
		return
	}
	l.window.Store(min(2*l.window.Load()+int64(l.Workers), int64(cap(l.buffer))))
}

// room returns how many claims wait, those included that are being made, and how many may.
func (l *Lane) room() (waiting, limit int64) {
	all := int64(cap(l.buffer))
	return all - l.free.Load(), min(all, max(l.window.Load(), int64(l.Workers)-l.busy.Load()))
}

// take removes claims from the front of the buffer for as long as it is wanted, and returns them.
func (l *Lane) take(wanted func(store.Claim) bool) (taken []store.Claim) {
	for range len(l.buffer) {
		select {
		case c := <-l.buffer:
			if !wanted(c) {
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
func (l *Lane) Reserve(n int) int {
	for {
		free := l.free.Load()
		waiting, limit := l.room()
		take := min(int64(n), limit-waiting)
		if take <= 0 {
			return 0
		}
		if l.free.CompareAndSwap(free, free-take) {
			return int(take)
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
func (l *Lane) Want() { l.wanted.Store(true) }

// Wanted tells whether there was a Want since it was called last.
func (l *Lane) Wanted() bool { return l.wanted.Swap(false) }

// HalfEmpty tells whether at most half as many claims wait as may.
func (l *Lane) HalfEmpty() bool {
	waiting, limit := l.room()
	return limit > waiting && waiting*2 <= limit
}

// addHeads notes tasks to be claimed by their ids, and tells whether there was room for them.
func (l *Lane) addHeads(ids []int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.heads)+len(ids) > maxHeads {
		return false
	}
	l.heads = append(l.heads, ids...)
	return true
}

// HeadsNoted returns how many tasks are noted.
func (l *Lane) HeadsNoted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.heads)
}

// TakeHeads returns at most n of the noted tasks, which are noted no more.
func (l *Lane) TakeHeads(n int) []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.heads))
	taken := l.heads[:n]
	l.heads = l.heads[n:]
	return taken
}

// Lowest returns the id to look for tasks from, so that all noted heads are found.
func (l *Lane) Lowest() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range l.heads {
		l.lowest = min(l.lowest, id)
	}
	l.heads = nil
	return l.lowest
}

// Unclaimed is Lowest, but for the noted heads, which stay noted.
func (l *Lane) Unclaimed() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lowest
}

// SetLowest notes that all tasks below an id that could be claimed were claimed; 0: nothing is known.
func (l *Lane) SetLowest(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lowest = id
}

// SetOpen says whether workers of this process take claims from the lane.
func (l *Lane) SetOpen(open bool) { l.open.Store(open) }

// Open tells whether workers of this process take claims from the lane.
func (l *Lane) Open() bool { return l.open.Load() }
