// Package resolve asks the DNS, and keeps apart what the DNS said from what could not be asked.
//
// It asks a zone's own servers, found from the root on, so that no resolver's cache holds an old answer against a user who
// has just changed the zone; or recursive resolvers, where these are configured. Servers are asked over IPv4 first, then over IPv6.
package resolve

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/miekg/dns"

	"app238.com/inner/app/config"
)

// Absence says in what way the DNS has no record of the wanted type.
type Absence string

// The ways.
const (
	// Present: there is one.
	Present Absence = ""
	// NoName: there is no such name (NXDOMAIN).
	NoName Absence = "no such name"
	// NoData: the name has no record of this type.
	NoData Absence = "no such record"
	// Loop: the CNAME records lead in a circle, or on and on.
	Loop Absence = "a CNAME record that leads nowhere"
)

// Reply is what the DNS says.
type Reply struct {
	// Chain holds the name that was asked for and the names to which CNAME records lead from there, in lower case and
	// without final dots.
	Chain []string
	// Records are those of the wanted type at the end of the chain.
	Records []dns.RR
	// Absence is Present where there are some, or where the walk ended at the wanted name.
	Absence Absence
}

// Question is what is asked.
type Question struct {
	// Name is a host name without a final dot; it may begin with labels that no host has.
	Name string
	// Type is the wanted record's, such as dns.TypeTXT.
	Type uint16
	// Until, unless nil, ends the walk along CNAME records at a name.
	Until func(name string) bool
	// Enough, unless nil, tells whether a reply needs no second opinion. Any other is asked of a second server of the
	// zone: they learn of a change one after the other.
	Enough func(Reply) bool
}

// NoAnswerError says that the DNS could not be asked: nothing is known about the name.
type NoAnswerError struct {
	// Zone is the one whose servers gave no answer, in words for users; Reasons what each of them did instead.
	Zone    string
	Reasons []string
}

// Error is for users: it holds names of zones and kinds of failures only.
func (e *NoAnswerError) Error() string {
	text := "the name servers of " + e.Zone + " could not be asked"
	if len(e.Reasons) == 0 {
		return text
	}
	slices.Sort(e.Reasons)
	return text + ": " + strings.Join(slices.Compact(e.Reasons), ", ")
}

// Observer is told of each question that was sent: what came of it and how long it took.
type Observer func(result string, took time.Duration)

// The limits of one Ask. A zone's owner chooses names, servers and aliases, and must not be able to keep Inner busy, or to
// have it ask others on and on.
const (
	questionLimit = 40
	aliasLimit    = 16
	referralLimit = 16
	nestingLimit  = 4
)

// cacheSize is how many zones and servers are remembered.
const cacheSize = 20_000

// Resolver asks questions. It may be used by many goroutines at once, has none of its own, and needs no end.
type Resolver struct {
	exchange    *exchanger
	resolvers   []netip.AddrPort
	roots       []netip.Addr
	port        uint16
	private     bool
	keep        time.Duration
	now         func() time.Time
	zones       *lru.Cache[string, zone]
	addressesOf *lru.Cache[string, addresses]
}

// New returns a resolver of this configuration, which was validated.
func New(c config.DNS, observe Observer) (*Resolver, error) {
	r := &Resolver{
		exchange: newExchanger(c, observe), port: uint16(c.Port), private: c.PrivateServers, keep: c.Delegations, now: time.Now,
		roots: rootServers(),
	}
	for _, text := range c.Resolvers {
		address, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("domains.dns.resolvers: %w", err)
		}
		r.resolvers = append(r.resolvers, address)
	}
	if len(c.Roots) > 0 {
		r.roots = nil
	}
	for _, text := range c.Roots {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("domains.dns.roots: %w", err)
		}
		r.roots = append(r.roots, address)
	}
	var err error
	if r.zones, err = lru.New[string, zone](cacheSize); err != nil {
		return nil, fmt.Errorf("cache of zones: %w", err)
	}
	if r.addressesOf, err = lru.New[string, addresses](cacheSize); err != nil {
		return nil, fmt.Errorf("cache of addresses: %w", err)
	}
	return r, nil
}

// Ask returns what the DNS says, a *NoAnswerError when it could not be asked, or the error of ctx.
func (r *Resolver) Ask(ctx context.Context, q Question) (Reply, error) {
	w := &walk{resolver: r, left: questionLimit}
	return w.ask(ctx, q)
}

// walk is one Ask with its limits.
type walk struct {
	resolver *Resolver
	left     int
	nesting  int
}

func (w *walk) ask(ctx context.Context, q Question) (Reply, error) {
	reply := Reply{Chain: []string{plain(dns.CanonicalName(q.Name))}}
	for {
		name := reply.Chain[len(reply.Chain)-1]
		part, err := w.step(ctx, dns.CanonicalName(name), q)
		if err != nil {
			return reply, err
		}
		for _, next := range part.Chain {
			if len(reply.Chain) > aliasLimit || slices.Contains(reply.Chain, next) {
				reply.Absence = Loop
				return reply, nil
			}
			reply.Chain = append(reply.Chain, next)
			if q.Until != nil && q.Until(next) {
				return reply, nil
			}
		}
		if len(part.Records) > 0 || part.Absence != Present {
			reply.Records, reply.Absence = part.Records, part.Absence
			return reply, nil
		}
	}
}

// step asks about one name: of the resolvers, or of the servers of the name's zone.
func (w *walk) step(ctx context.Context, name string, q Question) (Reply, error) {
	if len(w.resolver.resolvers) > 0 {
		answer, err := w.askServers(ctx, zone{name: "."}, known(w.resolver.resolvers), name, q)
		return answer.reply, err
	}
	return w.descend(ctx, name, q)
}

// plain returns a name without its final dot.
func plain(fqdn string) string {
	if fqdn == "." {
		return fqdn
	}
	return strings.TrimSuffix(fqdn, ".")
}

// zoneInWords names a zone for users.
func zoneInWords(name string) string {
	if name == "." {
		return "the DNS"
	}
	return plain(name)
}
