package workqueue

import "sync"

// fairness is after how many urgent names in a row one of the others has its turn: they come late, but they come.
const fairness = 16

// priorities is the order of a work queue: urgent names before the others, within either by turns of their owners, and of one
// owner's the oldest first. Its methods Touch, Push, Len and Pop are for the work queue alone, which calls one at a time.
type priorities struct {
	mu     sync.Mutex
	owner  func(name string) string
	urgent map[string]bool
	// waiting holds every name in the queue, and whether it is among the urgent ones. A name that was moved to it is left
	// among the others too, and passed over there.
	waiting    map[string]bool
	fast, slow turns
	streak     int
}

func newPriorities() *priorities {
	return &priorities{
		owner: func(string) string { return "" }, urgent: map[string]bool{}, waiting: map[string]bool{},
		fast: turns{names: map[string][]string{}}, slow: turns{names: map[string][]string{}},
	}
}

// turns are names by their owners, and the owners in the order of their turns.
type turns struct {
	owners []string
	names  map[string][]string
}

func (t *turns) push(owner, name string) {
	if len(t.names[owner]) == 0 {
		t.owners = append(t.owners, owner)
	}
	t.names[owner] = append(t.names[owner], name)
}

// next returns the name whose turn it is, "" where there is none.
func (t *turns) next() string {
	if len(t.owners) == 0 {
		return ""
	}
	return t.names[t.owners[0]][0]
}

func (t *turns) pop() string {
	name, owner := t.next(), t.owners[0]
	t.owners = t.owners[1:]
	if t.names[owner] = t.names[owner][1:]; len(t.names[owner]) > 0 {
		t.owners = append(t.owners, owner)
	} else {
		delete(t.names, owner)
	}
	return name
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
		l.fast.push(l.owner(name), name)
	}
}

// Push implements workqueue.Queue.
func (l *priorities) Push(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting[name] = l.urgent[name]; l.waiting[name] {
		l.fast.push(l.owner(name), name)
	} else {
		l.slow.push(l.owner(name), name)
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
	for len(l.slow.owners) > 0 && !l.standsInSlow(l.slow.next()) {
		l.slow.pop()
	}
	var name string
	if len(l.fast.owners) > 0 && (l.streak < fairness || len(l.slow.owners) == 0) {
		name = l.fast.pop()
		l.streak++
	} else {
		name = l.slow.pop()
		l.streak = 0
	}
	delete(l.waiting, name)
	return name
}

func (l *priorities) standsInSlow(name string) bool {
	fast, ok := l.waiting[name]
	return ok && !fast
}
