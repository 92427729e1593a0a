package check

import (
	"sync"

	"golang.org/x/net/publicsuffix"

	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/store"
)

const (
	// userShare is the part of the slots of a class that one user, and one registered domain, may use: one of so many.
	userShare = 16
	// slowShare is the number of additional slots for slow domains: one for so many normal slots.
	slowShare = 8
)

// slots limit the checks in progress of this process. A check of dead name servers takes as long as hundreds of others, so no
// user and no registered domain may use more than a share of the slots.
type slots struct {
	mu     sync.Mutex
	normal class
	slow   class
	change chan struct{} // closed by broadcast
}

// class is the slots of normal or slow domains, and who uses them.
type class struct {
	// limit is the share of one user or registered domain.
	total, limit, used int
	users, zones       map[string]int
}

func newClass(total int) class {
	return class{total: total, limit: max(1, total/userShare), users: map[string]int{}, zones: map[string]int{}}
}

func newSlots(total int) *slots {
	return &slots{normal: newClass(total), slow: newClass(max(1, total/slowShare)), change: make(chan struct{})}
}

func (s *slots) class(slow bool) *class {
	if slow {
		return &s.slow
	}
	return &s.normal
}

func isSlow(w store.Candidate) bool { return w.Unanswered >= lifecycle.SlowAfter }

// registeredDomain returns the registered domain of a host, whose owner can create any number of names and zones below it.
func registeredDomain(host string) string {
	zone, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return host
	}
	return zone
}

// acquire acquires a slot for the check of a domain; ok is false if no slot is left for it apart from the reserved ones.
func (s *slots) acquire(w store.Candidate, reserved int) (release func(), ok bool) {
	zone := registeredDomain(w.Host)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.class(isSlow(w))
	if c.used >= c.total-reserved || c.users[w.UserUID] == c.limit || c.zones[zone] == c.limit {
		return nil, false
	}
	c.add(w.UserUID, zone, 1)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.add(w.UserUID, zone, -1)
	}, true
}

// broadcast wakes the goroutines that wait for released slots.
func (s *slots) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.change)
	s.change = make(chan struct{})
}

func (c *class) add(user, zone string, n int) {
	c.used += n
	if c.users[user] += n; c.users[user] == 0 {
		delete(c.users, user)
	}
	if c.zones[zone] += n; c.zones[zone] == 0 {
		delete(c.zones, zone)
	}
}

// changed returns the channel that the next broadcast closes.
func (s *slots) changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.change
}

// available returns how many slots of a class are free, and who uses a whole share.
func (s *slots) available(slow bool) (n int, excluded store.Excluded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.class(slow)
	return c.total - c.used, store.Excluded{Users: c.atLimit(c.users), Zones: c.atLimit(c.zones)}
}

func (c *class) atLimit(counts map[string]int) []string {
	names := []string{}
	for name, n := range counts {
		if n >= c.limit {
			names = append(names, name)
		}
	}
	return names
}
