package resolve

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// serverLimit is how many servers of a zone are kept, tryLimit how often they are queried with one question.
const (
	serverLimit = 13
	tryLimit    = 4
)

// agreeingAnswers is how many servers must give an answer that is not Sufficient before it is accepted.
const agreeingAnswers = 2

// zone is a zone and the servers that its parent zone delegates it to.
type zone struct {
	name    string
	servers []nameServer
	until   time.Time
}

// nameServer is a server by its name. Without glue in the referral its addresses are looked up when needed.
type nameServer struct {
	name      string
	addresses addresses
}

type addresses struct {
	list  []netip.Addr
	until time.Time
}

// endpoint is a server that may be queried: its address, or a name that must be looked up first. A fallback is queried when the
// others gave no answer.
type endpoint struct {
	address  netip.AddrPort
	name     string
	fallback bool
}

func serversAt(all []netip.AddrPort) []endpoint {
	out := make([]endpoint, len(all))
	for i, address := range all {
		out[i].address = address
	}
	return out
}

// rootServers are the addresses of a to m.root-servers.net (IANA's root hints of 2024).
func rootServers() []netip.Addr {
	return []netip.Addr{
		netip.AddrFrom4([4]byte{198, 41, 0, 4}), netip.AddrFrom4([4]byte{170, 247, 170, 2}), netip.AddrFrom4([4]byte{192, 33, 4, 12}),
		netip.AddrFrom4([4]byte{199, 7, 91, 13}), netip.AddrFrom4([4]byte{192, 203, 230, 10}), netip.AddrFrom4([4]byte{192, 5, 5, 241}),
		netip.AddrFrom4([4]byte{192, 112, 36, 4}), netip.AddrFrom4([4]byte{198, 97, 190, 53}),
		netip.AddrFrom4([4]byte{192, 36, 148, 17}),
		netip.AddrFrom4([4]byte{192, 58, 128, 30}), netip.AddrFrom4([4]byte{193, 0, 14, 129}), netip.AddrFrom4([4]byte{199, 7, 83, 42}),
		netip.AddrFrom4([4]byte{202, 12, 27, 33}),
	}
}

// iterate queries the servers of the closest cached zone above name and follows their referrals. Cached servers may have changed:
// if their lookup fails, iterate removes them from the cache and gets the current ones from the zone above. That zone stays
// cached while it answers, because names of other users are in it too.
func (w *query) iterate(ctx context.Context, name string, q Question) (Reply, error) {
	for from := name; ; {
		at, cached := w.closestZone(from)
		reply, last, err := w.iterateFrom(ctx, at, name, q)
		if err == nil || !cached || last != at.name || w.remaining == 0 || ctx.Err() != nil {
			return reply, err
		}
		w.resolver.zones.Remove(at.name)
		from = parent(at.name)
	}
}

// iterateFrom also returns the zone whose servers it queried last.
func (w *query) iterateFrom(ctx context.Context, at zone, name string, q Question) (reply Reply, last string, err error) {
	for range referralLimit {
		got, err := w.queryServers(ctx, at, w.servers(at), name, q)
		if err != nil || got.referral == nil {
			return got.reply, at.name, err
		}
		at = *got.referral
		at.until = w.resolver.now().Add(w.resolver.delegationTTL)
		w.resolver.zones.Add(at.name, at)
	}
	return Reply{}, at.name, &LookupError{Zone: zoneText(at.name), Reasons: []string{"too many referrals"}}
}

// closestZone returns the deepest cached zone above name, else the root.
func (w *query) closestZone(name string) (at zone, cached bool) {
	for cut := name; cut != "."; cut = parent(cut) {
		if found, ok := w.resolver.zones.Get(cut); ok && w.resolver.now().Before(found.until) {
			return found, true
		}
	}
	return w.root(), false
}

func (w *query) root() zone { return zone{name: "."} }

func parent(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

// servers lists a zone's servers in random order: known IPv4 addresses first, then names, then IPv6 addresses.
func (w *query) servers(at zone) []endpoint {
	if at.name == "." {
		list := make([]netip.AddrPort, len(w.resolver.roots))
		for i, root := range w.resolver.roots {
			list[i] = netip.AddrPortFrom(root, w.resolver.port)
		}
		return shuffled(serversAt(list))
	}
	var named []endpoint
	list := make([]netip.Addr, 0, serverLimit)
	for _, server := range at.servers {
		if len(server.addresses.list) == 0 {
			named = append(named, endpoint{name: server.name})
		}
		list = append(list, server.addresses.list...)
	}
	four, six := w.byFamily(list)
	return slices.Concat(four, shuffled(named), six)
}

// byFamily splits addresses into IPv4 and IPv6, each in random order. IPv6 is a fallback: this machine may not have it.
func (w *query) byFamily(list []netip.Addr) (four, six []endpoint) {
	for _, address := range list {
		one := endpoint{address: netip.AddrPortFrom(address, w.resolver.port)}
		if address.Is4() {
			four = append(four, one)
			continue
		}
		one.fallback = true
		six = append(six, one)
	}
	return shuffled(four), shuffled(six)
}

func shuffled(list []endpoint) []endpoint {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// queryServers queries one server after the other until one gives a sufficient answer, or agreeingAnswers of them have given
// another one.
func (w *query) queryServers(ctx context.Context, at zone, servers []endpoint, name string, q Question) (answer, error) {
	failed := &LookupError{Zone: zoneText(at.name)}
	var answers []answer
	tries, overIPv4 := 0, false
	for len(servers) > 0 && tries < tryLimit {
		next := servers[0]
		servers = servers[1:]
		if next.fallback && len(answers) > 0 {
			break
		}
		if next.name != "" {
			four, six, err := w.addresses(ctx, next.name)
			if err != nil {
				if ctx.Err() != nil {
					return answer{}, ctx.Err()
				}
				failed.Reasons = append(failed.Reasons, "the address of a name server is not known")
				continue
			}
			servers = slices.Concat(four, servers, six)
			continue
		}
		tries++
		overIPv4 = overIPv4 || next.address.Addr().Is4()
		got, err := w.queryServer(ctx, at, next.address, name, q)
		if err != nil {
			return answer{}, err
		}
		switch {
		case got.reason != "":
			failed.Reasons = append(failed.Reasons, got.reason)
			// Retry once: the packet may have been lost.
			if got.reason == noReply && (len(servers) == 0 || servers[0].fallback) && tries < agreeingAnswers {
				servers = slices.Insert(servers, 0, next)
			}
			continue
		case got.referral != nil || q.Sufficient == nil || len(got.reply.Chain) > 0 || q.Sufficient(got.reply):
			return got, nil
		}
		if answers = append(answers, got); len(answers) == agreeingAnswers {
			break
		}
	}
	if len(answers) > 0 {
		return answers[0], nil
	}
	if tries > 0 && !overIPv4 {
		failed.Reasons = append(failed.Reasons, "not reachable by IPv4")
	}
	return answer{}, failed
}

func (w *query) queryServer(ctx context.Context, at zone, server netip.AddrPort, name string, q Question) (answer, error) {
	recursive := len(w.resolver.resolvers) > 0
	if !recursive && !w.resolver.allowPrivate && !public(server.Addr()) {
		return answer{reason: "a private address"}, nil
	}
	if w.remaining == 0 {
		return answer{reason: "too many queries"}, nil
	}
	w.remaining--
	m, reason, err := w.resolver.exchanger.exchange(ctx, server, name, q.Type, recursive)
	if err != nil || m == nil {
		return answer{reason: reason}, err
	}
	return classify(m, at, name, q.Type, recursive), nil
}

// addresses looks up the addresses of a name server. IPv6 addresses are only looked up if it has no IPv4 address.
func (w *query) addresses(ctx context.Context, server string) (four, six []endpoint, err error) {
	found, ok := w.resolver.addressesOf.Get(server)
	if !ok || !w.resolver.now().Before(found.until) {
		if w.nesting == nestingLimit {
			return nil, nil, &LookupError{Zone: zoneText(server), Reasons: []string{"too many referrals"}}
		}
		found = addresses{until: w.resolver.now().Add(w.resolver.delegationTTL)}
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			w.nesting++
			reply, err := w.resolve(ctx, Question{Name: server, Type: qtype})
			w.nesting--
			if err != nil {
				return nil, nil, err
			}
			for _, rr := range reply.Records {
				found.list = appendAddress(found.list, rr)
			}
			if len(found.list) > 0 || reply.Absence == NXDomain {
				break
			}
		}
		w.resolver.addressesOf.Add(server, found)
	}
	if len(found.list) == 0 {
		return nil, nil, &LookupError{Zone: zoneText(server)}
	}
	four, six = w.byFamily(found.list)
	return four, six, nil
}

func appendAddress(list []netip.Addr, rr dns.RR) []netip.Addr {
	var ip []byte
	switch record := rr.(type) {
	case *dns.A:
		ip = record.A.To4()
	case *dns.AAAA:
		ip = record.AAAA
	}
	address, ok := netip.AddrFromSlice(ip)
	// An AAAA record may hold an IPv4-mapped address.
	address = address.Unmap()
	if !ok || len(list) == serverLimit || slices.Contains(list, address) {
		return list
	}
	return append(list, address)
}

// specialPurpose are the ranges outside of the public Internet that net/netip does not know (RFC 6890): this network, shared
// address space, IETF protocols, benchmarking, reserved; IETF protocols, documentation, and 6to4.
var specialPurpose = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("2002::/16"),
}

// globalUnicast is the part of IPv6 that is assigned to the public Internet.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// public reports whether an address belongs to the public Internet.
func public(address netip.Addr) bool {
	return address.IsGlobalUnicast() && !address.IsPrivate() && (address.Is4() || globalUnicast.Contains(address)) &&
		!slices.ContainsFunc(specialPurpose, func(p netip.Prefix) bool { return p.Contains(address) })
}
