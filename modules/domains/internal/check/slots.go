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
	total, used  int
	users, zones usage[string]
	// pairs are the slots that one user uses for hosts under one registered domain.
	pairs usage[store.UserZone]
}

func newClass(total int) class {
	// One user may use half of the slots of a registered domain: others may have hosts under it.
	zoneLimit := max(2, total/userShare)
	return class{
		total: total, users: newUsage[string](max(1, total/userShare)), zones: newUsage[string](zoneLimit),
		pairs: newUsage[store.UserZone](zoneLimit / 2),
	}
}

// usage counts the slots in use by each holder. No holder may use more than limit.
type usage[T comparable] struct {
	limit int
	slots map[T]int
}

func newUsage[T comparable](limit int) usage[T] { return usage[T]{limit: limit, slots: map[T]int{}} }

func (u usage[T]) isAtLimit(holder T) bool { return u.slots[holder] >= u.limit }

func (u usage[T]) add(holder T, n int) {
	if u.slots[holder] += n; u.slots[holder] == 0 {
		delete(u.slots, holder)
	}
}

// atLimit returns the holders that use all they may.
func (u usage[T]) atLimit() []T {
	holders := []T{}
	for holder := range u.slots {
		if u.isAtLimit(holder) {
			holders = append(holders, holder)
		}
	}
	return holders
}

func newSlots(total int) *slots {
	return &slots{normal: newClass(total), slow: newClass(max(2, total/slowShare)), change: make(chan struct{})}
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
	c, pair := s.class(isSlow(w)), store.UserZone{UserUID: w.UserUID, Zone: zone}
	if c.used >= c.total-reserved || c.users.isAtLimit(w.UserUID) || c.zones.isAtLimit(zone) || c.pairs.isAtLimit(pair) {
		return nil, false
	}
	c.add(pair, 1)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.add(pair, -1)
	}, true
}

// broadcast wakes the goroutines that wait for released slots.
func (s *slots) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.change)
	s.change = make(chan struct{})
}

func (c *class) add(pair store.UserZone, n int) {
	c.used += n
	c.users.add(pair.UserUID, n)
	c.zones.add(pair.Zone, n)
	c.pairs.add(pair, n)
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
	return c.total - c.used, store.Excluded{Users: c.users.atLimit(), Zones: c.zones.atLimit(), Pairs: c.pairs.atLimit()}
}
