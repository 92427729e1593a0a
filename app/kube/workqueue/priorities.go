package workqueue

import "sync"

// fairness is after how many urgent names in a row one of the others has its turn: they come late, but they come.
const maxUrgentInRow = 16

// priorities is the order of a work queue: urgent names before the others, within either the oldest first. Its methods Touch,
// Push, Len and Pop are for the work queue alone, which calls one at a time.
type priorities struct {
	mu     sync.Mutex
	urgent map[string]bool
	// waiting holds every name in the queue, and whether it is among the urgent ones. A name that was moved to it is left
	// among the others too, and passed over there.
	waiting                 map[string]bool
	urgentNames, otherNames []string
	streak                  int
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
	if urgentNames, ok := l.waiting[name]; ok && !urgentNames && l.urgent[name] {
		l.waiting[name] = true
		l.urgentNames = append(l.urgentNames, name)
	}
}

// Push implements workqueue.Queue.
func (l *priorities) Push(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting[name] = l.urgent[name]; l.waiting[name] {
		l.urgentNames = append(l.urgentNames, name)
	} else {
		l.otherNames = append(l.otherNames, name)
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
	for len(l.otherNames) > 0 && !l.isWaitingInOthers(l.otherNames[0]) {
		l.otherNames = l.otherNames[1:]
	}
	var name string
	if len(l.urgentNames) > 0 && (l.streak < maxUrgentInRow || len(l.otherNames) == 0) {
		name, l.urgentNames = l.urgentNames[0], l.urgentNames[1:]
		l.streak++
	} else {
		name, l.otherNames = l.otherNames[0], l.otherNames[1:]
		l.streak = 0
	}
	delete(l.waiting, name)
	return name
}

func (l *priorities) isWaitingInOthers(name string) bool {
	urgentNames, ok := l.waiting[name]
	return ok && !urgentNames
}
