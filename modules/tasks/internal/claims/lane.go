package claims

import (
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
}

func newLane(name string, workers, buffer int) *Lane {
	l := &Lane{Name: name, Workers: workers, buffer: make(chan store.Claim, buffer)}
	l.free.Store(int64(buffer))
	return l
}

// Reserve takes room for at most n claims and returns for how many.
func (l *Lane) Reserve(n int) int {
	for {
		free := l.free.Load()
		take := min(int64(n), free)
		if take <= 0 {
			return 0
		}
		if l.free.CompareAndSwap(free, free-take) {
			return int(take)
		}
	}
}

// Release gives back room that was reserved or has become free.
func (l *Lane) Release(n int) { l.free.Add(int64(n)) }

// Claims delivers what was claimed. Whoever receives one calls Release(1).
func (l *Lane) Claims() <-chan store.Claim { return l.buffer }

// SetBacklog notes whether pending tasks of this lane are believed to be in the database.
func (l *Lane) SetBacklog(there bool) { l.backlog.Store(there) }

// WantsMore tells whether there is a backlog and the buffer is at least half empty.
func (l *Lane) WantsMore() bool {
	return l.backlog.Load() && l.free.Load()*2 >= int64(cap(l.buffer))
}

// SetOpen says whether workers of this process take claims from the lane.
func (l *Lane) SetOpen(open bool) { l.open.Store(open) }

// Open tells whether workers of this process take claims from the lane.
func (l *Lane) Open() bool { return l.open.Load() }
