package check

import (
	"sync"

	"golang.org/x/net/publicsuffix"

	"app238.com/inner/modules/domains/internal/life"
	"app238.com/inner/modules/domains/internal/store"
)

const (
	// share is the part of the places of a class that a user, and a registered domain, may have: one of so many.
	share = 16
	// slowShare is how many places there are for the slow domains, beside the usual ones: one for so many of these.
	slowShare = 8
)

// places are the checks that may be under way in this process. A check of dead name servers takes as long as hundreds of others, so
// nobody has more than a share.
type places struct {
	mu     sync.Mutex
	usual  class
	slow   class
	change chan struct{} // closed by announce
}

// class is a kind of checks and who has its places.
type class struct {
	total, taken int
	users, zones holders[string]
	// pairs are a user's places for names under one registered domain.
	pairs holders[store.UserZone]
}

func newClass(total int) class {
	// What a registered domain has is never one user's alone.
	zone := max(2, total/share)
	return class{
		total: total, users: newHolders[string](max(1, total/share)), zones: newHolders[string](zone),
		pairs: newHolders[store.UserZone](zone / 2),
	}
}

// holders counts the places of each, of which nobody has more than limit.
type holders[T comparable] struct {
	limit  int
	places map[T]int
}

func newHolders[T comparable](limit int) holders[T] {
	return holders[T]{limit: limit, places: map[T]int{}}
}

func (h holders[T]) isFull(of T) bool { return h.places[of] >= h.limit }

func (h holders[T]) add(of T, n int) {
	if h.places[of] += n; h.places[of] == 0 {
		delete(h.places, of)
	}
}

func (h holders[T]) full() []T {
	all := []T{}
	for of := range h.places {
		if h.isFull(of) {
			all = append(all, of)
		}
	}
	return all
}

func newPlaces(total int) *places {
	return &places{usual: newClass(total), slow: newClass(max(2, total/slowShare)), change: make(chan struct{})}
}

func (p *places) class(slow bool) *class {
	if slow {
		return &p.slow
	}
	return &p.usual
}

func isSlow(w store.Waiting) bool { return w.Unanswered >= life.SlowAfter }

// zoneOf returns the registered domain that a host is under: whoever has that can make as many names and zones as there are places.
func zoneOf(host string) string {
	zone, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return host
	}
	return zone
}

// take takes a place for the check of a domain, which release gives back; ok is false where there is none for it but the spare ones.
func (p *places) take(w store.Waiting, spare int) (release func(), ok bool) {
	zone := zoneOf(w.Host)
	p.mu.Lock()
	defer p.mu.Unlock()
	c, pair := p.class(isSlow(w)), store.UserZone{UserUID: w.UserUID, Zone: zone}
	if c.taken >= c.total-spare || c.users.isFull(w.UserUID) || c.zones.isFull(zone) || c.pairs.isFull(pair) {
		return nil, false
	}
	c.add(pair, 1)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		c.add(pair, -1)
	}, true
}

// announce wakes those who wait for places that are given back.
func (p *places) announce() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.change)
	p.change = make(chan struct{})
}

func (c *class) add(pair store.UserZone, n int) {
	c.taken += n
	c.users.add(pair.UserUID, n)
	c.zones.add(pair.Zone, n)
	c.pairs.add(pair, n)
}

// changed returns what announce closes next.
func (p *places) changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.change
}

// left returns how many places of a class are left, and who has a whole share.
func (p *places) left(slow bool) (n int, full store.Full) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.class(slow)
	return c.total - c.taken, store.Full{Users: c.users.full(), Zones: c.zones.full(), Pairs: c.pairs.full()}
}
