package resolve

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// targetTTL is how long the addresses of a target are not queried again: thousands of domains have the same few targets.
	targetTTL = 30 * time.Second
	// addressTTL is how long an address counts as the target's after it was seen: an answer may have only some of many addresses.
	addressTTL = time.Hour
)

// maxTargets is how many targets are cached.
const maxTargets = 10_000

// targets caches the addresses of targets.
type targets struct {
	dns Querier
	now func() time.Time

	mu    sync.Mutex
	known map[targetKey]*target
}

type targetKey struct {
	name  string
	qtype uint16
}

type target struct {
	queriedAt time.Time
	// lastSeen is when each address was last seen.
	lastSeen map[string]time.Time
}

func newTargets(querier Querier) *targets {
	return &targets{dns: querier, now: time.Now, known: map[targetKey]*target{}}
}

// addresses returns the addresses of a target. It queries them if they are not cached or refresh is set.
func (t *targets) addresses(ctx context.Context, name string, qtype uint16, refresh bool) ([]string, error) {
	key := targetKey{name, qtype}
	if found, ok := t.cached(key); ok && !refresh {
		return found, nil
	}
	reply, err := t.dns.Query(ctx, Question{Name: name, Type: qtype})
	if err != nil {
		return nil, err
	}
	t.put(key, addressesOf(reply))
	found, _ := t.cached(key)
	return found, nil
}

// cached returns the addresses of a target that were seen lately, and whether it was queried lately.
func (t *targets) cached(key targetKey) (addresses []string, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.known[key]
	if !ok {
		return nil, false
	}
	now := t.now()
	for address, at := range found.lastSeen {
		if now.Sub(at) > addressTTL {
			delete(found.lastSeen, address)
			continue
		}
		addresses = append(addresses, address)
	}
	return addresses, now.Sub(found.queriedAt) < targetTTL
}

func (t *targets) put(key targetKey, addresses []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.known[key]
	if !ok {
		if len(t.known) >= maxTargets {
			clear(t.known)
		}
		found = &target{lastSeen: map[string]time.Time{}}
		t.known[key] = found
	}
	found.queriedAt = t.now()
	for _, address := range addresses {
		found.lastSeen[address] = found.queriedAt
	}
}

// addressesOf returns the A or AAAA records of a reply as texts.
func addressesOf(reply Reply) []string {
	var found []string
	for _, rr := range reply.Records {
		switch rec := rr.(type) {
		case *dns.A:
			found = append(found, rec.A.String())
		case *dns.AAAA:
			found = append(found, rec.AAAA.String())
		}
	}
	return found
}

func common(a, b []string) bool {
	return slices.ContainsFunc(a, func(address string) bool { return slices.Contains(b, address) })
}

// merged returns the texts of both without duplicates.
func merged(a, b []string) []string {
	for _, text := range b {
		if !slices.Contains(a, text) {
			a = append(a, text)
		}
	}
	return a
}
