package check

import (
	"sync"

	"golang.org/x/net/publicsuffix"

	"app238.com/inner/modules/domains/internal/lifecycle"
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
	total, share, taken int
	users, zones        map[string]int
}

func newClass(total int) class {
	return class{total: total, share: max(1, total/share), users: map[string]int{}, zones: map[string]int{}}
}

func newPlaces(total int) *places {
	return &places{usual: newClass(total), slow: newClass(max(1, total/slowShare)), change: make(chan struct{})}
}

func (p *places) class(slow bool) *class {
	if slow {
		return &p.slow
	}
	return &p.usual
}

func isSlow(w store.Waiting) bool { return w.Unanswered >= lifecycle.SlowAfter }

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
	c := p.class(isSlow(w))
	if c.taken >= c.total-spare || c.users[w.UserUID] == c.share || c.zones[zone] == c.share {
		return nil, false
	}
	c.add(w.UserUID, zone, 1)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		c.add(w.UserUID, zone, -1)
	}, true
}

// announce wakes those who wait for places that are given back.
func (p *places) announce() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.change)
	p.change = make(chan struct{})
}

func (c *class) add(user, zone string, n int) {
	c.taken += n
	if c.users[user] += n; c.users[user] == 0 {
		delete(c.users, user)
	}
	if c.zones[zone] += n; c.zones[zone] == 0 {
		delete(c.zones, zone)
	}
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
	return c.total - c.taken, store.Full{Users: c.full(c.users), Zones: c.full(c.zones)}
}

func (c *class) full(counts map[string]int) []string {
	names := []string{}
	for name, n := range counts {
		if n >= c.share {
			names = append(names, name)
		}
	}
	return names
}
