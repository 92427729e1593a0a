// Package resolve queries the DNS, tells negative answers from lookup failures, and verifies claims of custom domains.
//
// By default it iterates from the root to the authoritative servers of a zone, so that no cached answer of a resolver hides a
// change that a user has just made. If recursive resolvers are configured, it queries these. IPv4 is tried before IPv6.
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

// Absence is the kind of a negative answer.
type Absence string

// The negative answers, and Present for a positive one.
const (
	// Present: the record exists.
	Present Absence = ""
	// NXDomain: the name does not exist.
	NXDomain Absence = "no such name"
	// NoData: the name has no record of the queried type.
	NoData Absence = "no such record"
	// Loop: the CNAME records form a loop or are too many.
	Loop Absence = "a CNAME record that leads nowhere"
)

// Reply is an answer of the DNS.
type Reply struct {
	// Chain is the queried name followed by the targets of its CNAME records, in lower case and without final dots.
	Chain []string
	// Records are the records of the queried type at the end of the chain.
	Records []dns.RR
	// Absence is Present if there are records, or if Question.Until ended the query.
	Absence Absence
}

// Question is the question of a query.
type Question struct {
	// Name is a domain name without a final dot. Labels such as _combinator-verify are allowed.
	Name string
	// Type is the record type, such as dns.TypeTXT.
	Type uint16
	// Until, unless nil, ends the query when a CNAME record leads to a name for which it returns true.
	Until func(name string) bool
	// Sufficient, unless nil, reports whether a reply is accepted from one server. Any other reply must be confirmed by a second
	// server of the zone, because the servers learn of a change one after the other.
	Sufficient func(Reply) bool
}

// LookupError is a lookup failure: nothing is known about the name.
type LookupError struct {
	// Zone is the zone whose servers gave no usable answer, in words for users; Reasons has the failure of each server.
	Zone    string
	Reasons []string
}

// Error returns a text for users, which has no addresses of servers.
func (e *LookupError) Error() string {
	text := "lookup at the name servers of " + e.Zone + " failed"
	if len(e.Reasons) == 0 {
		return text
	}
	slices.Sort(e.Reasons)
	return text + ": " + strings.Join(slices.Compact(e.Reasons), ", ")
}

// Observer is called for each query with its result and duration.
type Observer func(result string, took time.Duration)

// The limits of one call of Query. The owner of a zone chooses names, servers and aliases, and must not be able to make Inner
// send queries without end.
const (
	queryLimit    = 40
	aliasLimit    = 16
	referralLimit = 16
	nestingLimit  = 4
)

// cacheSize is how many zones and how many servers are cached.
const cacheSize = 20_000

// Resolver queries the DNS. It is safe for concurrent use and starts no goroutines.
type Resolver struct {
	exchanger     *exchanger
	resolvers     []netip.AddrPort
	roots         []netip.Addr
	port          uint16
	allowPrivate  bool
	delegationTTL time.Duration
	now           func() time.Time
	zones         *lru.Cache[string, zone]
	addressesOf   *lru.Cache[string, addresses]
}

// NewResolver returns a resolver for a validated configuration.
func NewResolver(c config.DNS, observe Observer) (*Resolver, error) {
	r := &Resolver{
		exchanger: newExchanger(c, observe), port: uint16(c.Port), allowPrivate: c.PrivateServers, delegationTTL: c.Delegations,
		now: time.Now, roots: rootServers(),
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

// Query implements Querier. Its error is a *LookupError or the error of ctx.
func (r *Resolver) Query(ctx context.Context, q Question) (Reply, error) {
	w := &query{resolver: r, remaining: queryLimit}
	return w.resolve(ctx, q)
}

// query is one call of Query with its limits.
type query struct {
	resolver *Resolver
	// remaining is how many more messages may be sent.
	remaining int
	// nesting is how many lookups of name servers led to this one.
	nesting int
}

func (w *query) resolve(ctx context.Context, q Question) (Reply, error) {
	reply := Reply{Chain: []string{trimDot(dns.CanonicalName(q.Name))}}
	for {
		name := reply.Chain[len(reply.Chain)-1]
		part, err := w.resolveName(ctx, dns.CanonicalName(name), q)
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

// resolveName queries one name: from the configured resolvers, or from the servers of the name's zone.
func (w *query) resolveName(ctx context.Context, name string, q Question) (Reply, error) {
	if len(w.resolver.resolvers) > 0 {
		answer, err := w.queryServers(ctx, zone{name: "."}, serversAt(w.resolver.resolvers), name, q)
		return answer.reply, err
	}
	return w.iterate(ctx, name, q)
}

// trimDot returns a name without its final dot.
func trimDot(fqdn string) string {
	if fqdn == "." {
		return fqdn
	}
	return strings.TrimSuffix(fqdn, ".")
}

// zoneText names a zone for users.
func zoneText(name string) string {
	if name == "." {
		return "the DNS"
	}
	return trimDot(name)
}
