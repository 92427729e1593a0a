package verify

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"app238.com/inner/modules/domains/internal/resolve"
)

const (
	// targetsKept is how long a target is not asked about again: thousands of domains have the same few targets.
	targetsKept = 30 * time.Second
	// addressesKept is how long an address is the target's after that was told: of many addresses an answer may hold some.
	addressesKept = time.Hour
)

// targetsLimit is how many targets are remembered.
const targetsLimit = 10_000

// targets remembers the addresses of targets.
type targets struct {
	dns Resolver
	now func() time.Time

	mu    sync.Mutex
	known map[targetKey]*target
}

type targetKey struct {
	name  string
	qtype uint16
}

type target struct {
	asked time.Time
	// told holds when each address was told last.
	told map[string]time.Time
}

func newTargets(asker Resolver) *targets {
	return &targets{dns: asker, now: time.Now, known: map[targetKey]*target{}}
}

// addresses returns the addresses of a target, asking for them when they are not remembered, or again.
func (t *targets) addresses(ctx context.Context, name string, qtype uint16, again bool) ([]string, error) {
	key := targetKey{name, qtype}
	if found, ok := t.remembered(key); ok && !again {
		return found, nil
	}
	reply, err := t.dns.Ask(ctx, resolve.Question{Name: name, Type: qtype})
	if err != nil {
		return nil, err
	}
	t.remember(key, addressesOf(reply))
	found, _ := t.remembered(key)
	return found, nil
}

// remembered returns the addresses that a target was told to have, and whether it was asked about lately.
func (t *targets) remembered(key targetKey) (addresses []string, lately bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.known[key]
	if !ok {
		return nil, false
	}
	now := t.now()
	for address, at := range found.told {
		if now.Sub(at) > addressesKept {
			delete(found.told, address)
			continue
		}
		addresses = append(addresses, address)
	}
	return addresses, now.Sub(found.asked) < targetsKept
}

func (t *targets) remember(key targetKey, addresses []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.known[key]
	if !ok {
		if len(t.known) >= targetsLimit {
			clear(t.known)
		}
		found = &target{told: map[string]time.Time{}}
		t.known[key] = found
	}
	found.asked = t.now()
	for _, address := range addresses {
		found.told[address] = found.asked
	}
}

// addressesOf returns the A or AAAA records of a reply as texts.
func addressesOf(reply resolve.Reply) []string {
	var found []string
	for _, rr := range reply.Records {
		switch record := rr.(type) {
		case *dns.A:
			found = append(found, record.A.String())
		case *dns.AAAA:
			found = append(found, record.AAAA.String())
		}
	}
	return found
}

func common(a, b []string) bool {
	return slices.ContainsFunc(a, func(address string) bool { return slices.Contains(b, address) })
}

// merged returns the texts of both, none twice.
func merged(a, b []string) []string {
	for _, text := range b {
		if !slices.Contains(a, text) {
			a = append(a, text)
		}
	}
	return a
}
