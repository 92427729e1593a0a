package workqueue

import "sync"

// maxUrgentInRow is how many urgent names are popped in a row while others wait.
const maxUrgentInRow = 16

// priorities implements workqueue.Queue: urgent names come before the others; in either part groups take turns, and the
// names of a group are in order of arrival. The work queue serializes its calls of Touch, Push, Len and Pop.
type priorities struct {
	mu     sync.Mutex
	group  func(name string) string
	urgent map[string]bool
	// waiting holds every queued name and whether it is in urgentNames. A name that was promoted while it waited is also left in
	// otherNames, and skipped there.
	waiting                 map[string]bool
	urgentNames, otherNames roundRobin
	streak                  int
}

func newPriorities() *priorities {
	return &priorities{
		group: func(string) string { return "" }, urgent: map[string]bool{}, waiting: map[string]bool{},
		urgentNames: newRoundRobin(), otherNames: newRoundRobin(),
	}
}

// promote makes name urgent from its next add on.
func (l *priorities) promote(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.urgent[name] = true
}

// demote makes name not urgent, and reports whether it was.
func (l *priorities) demote(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	urgent := l.urgent[name]
	delete(l.urgent, name)
	return urgent
}

// Touch implements workqueue.Queue: a waiting name was added again.
func (l *priorities) Touch(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if urgentNames, ok := l.waiting[name]; ok && !urgentNames && l.urgent[name] {
		l.waiting[name] = true
		l.urgentNames.push(l.group(name), name)
	}
}

// Push implements workqueue.Queue.
func (l *priorities) Push(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting[name] = l.urgent[name]; l.waiting[name] {
		l.urgentNames.push(l.group(name), name)
	} else {
		l.otherNames.push(l.group(name), name)
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
	for !l.otherNames.empty() && !l.isWaitingInOthers(l.otherNames.peek()) {
		l.otherNames.pop()
	}
	var name string
	if !l.urgentNames.empty() && (l.streak < maxUrgentInRow || l.otherNames.empty()) {
		name = l.urgentNames.pop()
		l.streak++
	} else {
		name = l.otherNames.pop()
		l.streak = 0
	}
	delete(l.waiting, name)
	return name
}

func (l *priorities) isWaitingInOthers(name string) bool {
	urgentNames, ok := l.waiting[name]
	return ok && !urgentNames
}
