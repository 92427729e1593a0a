package verify

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"app238.com/inner/modules/domains/internal/resolve"
)

// targetsKept is how long a target's addresses are remembered: thousands of domains have the same few targets.
const targetsKept = 30 * time.Second

// targetsLimit is how many targets are remembered.
const targetsLimit = 10_000

// targets remembers the addresses of targets.
type targets struct {
	dns Asker
	now func() time.Time

	mu    sync.Mutex
	known map[targetKey]target
}

type targetKey struct {
	name  string
	qtype uint16
}

type target struct {
	addresses []string
	until     time.Time
}

func newTargets(asker Asker) *targets {
	return &targets{dns: asker, now: time.Now, known: map[targetKey]target{}}
}

// addresses returns the addresses of a target, asking for them when they are not remembered.
func (t *targets) addresses(ctx context.Context, name string, qtype uint16) ([]string, error) {
	key := targetKey{name, qtype}
	t.mu.Lock()
	found, ok := t.known[key]
	t.mu.Unlock()
	if ok && t.now().Before(found.until) {
		return found.addresses, nil
	}
	reply, err := t.dns.Ask(ctx, resolve.Question{Name: name, Type: qtype})
	if err != nil {
		return nil, err
	}
	found = target{addresses: addressesOf(reply), until: t.now().Add(targetsKept)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) >= targetsLimit {
		clear(t.known)
	}
	t.known[key] = found
	return found.addresses, nil
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
