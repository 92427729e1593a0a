package workqueue

import "sync"

// fairness is after how many urgent names in a row one of the others has its turn: they come late, but they come.
const fairness = 16

// priorities is the order of a work queue: urgent names before the others, within either the oldest first. Its methods Touch,
// Push, Len and Pop are for the work queue alone, which calls one at a time.
type priorities struct {
	mu     sync.Mutex
	urgent map[string]bool
	// waiting holds every name in the queue, and whether it is among the urgent ones. A name that was moved to it is left
	// among the others too, and passed over there.
	waiting    map[string]bool
	fast, slow []string
	streak     int
}

func newPriorities() *priorities {
	return &priorities{urgent: map[string]bool{}, waiting: map[string]bool{}}
}

// promote makes name urgent, from when it is added next.
func (l *priorities) promote(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.urgent[name] = true
}

// demote ends that, and tells whether it was.
func (l *priorities) demote(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	urgent := l.urgent[name]
	delete(l.urgent, name)
	return urgent
}

// Touch implements workqueue.Queue: a name that waits was added again.
func (l *priorities) Touch(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fast, ok := l.waiting[name]; ok && !fast && l.urgent[name] {
		l.waiting[name] = true
		l.fast = append(l.fast, name)
	}
}

// Push implements workqueue.Queue.
func (l *priorities) Push(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting[name] = l.urgent[name]; l.waiting[name] {
		l.fast = append(l.fast, name)
	} else {
		l.slow = append(l.slow, name)
	}
}

// Len implements workqueue.Queue.
func (l *priorities) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

// Pop implements workqueue.Queue.
func (l *priorities) Pop() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.slow) > 0 && !l.standsInSlow(l.slow[0]) {
		l.slow = l.slow[1:]
	}
	var name string
	if len(l.fast) > 0 && (l.streak < fairness || len(l.slow) == 0) {
		name, l.fast = l.fast[0], l.fast[1:]
		l.streak++
	} else {
		name, l.slow = l.slow[0], l.slow[1:]
		l.streak = 0
	}
	delete(l.waiting, name)
	return name
}

func (l *priorities) standsInSlow(name string) bool {
	fast, ok := l.waiting[name]
	return ok && !fast
}
