package resolve

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// serverLimit is how many servers of a zone are remembered, and triesLimit how often they are asked one question.
const (
	serverLimit = 13
	triesLimit  = 4
)

// opinions is how many servers must say what is not Enough.
const opinions = 2

// zone is a part of the DNS and the servers that a zone above named for it.
type zone struct {
	name    string
	servers []nameServer
	until   time.Time
}

// nameServer is a server by its name. Where the zone above brought no addresses, they are asked for when needed.
type nameServer struct {
	name      string
	addresses addresses
}

type addresses struct {
	list  []netip.Addr
	until time.Time
}

// candidate is a server that may be asked: by its address, or by a name whose address is yet to be found. A spare one is asked where
// the others gave no answer.
type candidate struct {
	address netip.AddrPort
	name    string
	spare   bool
}

func known(all []netip.AddrPort) []candidate {
	out := make([]candidate, len(all))
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
		netip.AddrFrom4([4]byte{192, 112, 36, 4}), netip.AddrFrom4([4]byte{198, 97, 190, 53}), netip.AddrFrom4([4]byte{192, 36, 148, 17}),
		netip.AddrFrom4([4]byte{192, 58, 128, 30}), netip.AddrFrom4([4]byte{193, 0, 14, 129}), netip.AddrFrom4([4]byte{199, 7, 83, 42}),
		netip.AddrFrom4([4]byte{202, 12, 27, 33}),
	}
}

// descend asks the servers of the closest known zone above name and follows their referrals downwards. Servers that are
// remembered may have changed: when they cannot be asked, the zone above them tells which there are now. That one stays remembered
// as long as it answers: others' names lie in it too.
func (w *walk) descend(ctx context.Context, name string, q Question) (Reply, error) {
	for from := name; ; {
		at, remembered := w.closest(from)
		reply, last, err := w.descendFrom(ctx, at, name, q)
		if err == nil || !remembered || last != at.name || w.left == 0 || ctx.Err() != nil {
			return reply, err
		}
		w.resolver.zones.Remove(at.name)
		from = parent(at.name)
	}
}

// descendFrom returns also the zone whose servers were asked last.
func (w *walk) descendFrom(ctx context.Context, at zone, name string, q Question) (reply Reply, last string, err error) {
	for range referralLimit {
		got, err := w.askServers(ctx, at, w.candidates(at), name, q)
		if err != nil || got.referral == nil {
			return got.reply, at.name, err
		}
		at = *got.referral
		at.until = w.resolver.now().Add(w.resolver.keep)
		w.resolver.zones.Add(at.name, at)
	}
	return Reply{}, at.name, &NoAnswerError{Zone: zoneInWords(at.name), Reasons: []string{"too many referrals"}}
}

// closest returns the deepest zone above name whose servers are remembered, else the root.
func (w *walk) closest(name string) (at zone, remembered bool) {
	for cut := name; cut != "."; cut = parent(cut) {
		if found, ok := w.resolver.zones.Get(cut); ok && w.resolver.now().Before(found.until) {
			return found, true
		}
	}
	return w.root(), false
}

func (w *walk) root() zone { return zone{name: "."} }

func parent(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

// candidates lists a zone's servers in random order: those with a known IPv4 address first, those with an IPv6 address last.
func (w *walk) candidates(at zone) []candidate {
	if at.name == "." {
		list := make([]netip.AddrPort, len(w.resolver.roots))
		for i, root := range w.resolver.roots {
			list[i] = netip.AddrPortFrom(root, w.resolver.port)
		}
		return shuffled(known(list))
	}
	var named []candidate
	list := make([]netip.Addr, 0, serverLimit)
	for _, server := range at.servers {
		if len(server.addresses.list) == 0 {
			named = append(named, candidate{name: server.name})
		}
		list = append(list, server.addresses.list...)
	}
	four, six := w.at(list)
	return slices.Concat(four, shuffled(named), six)
}

// at returns the servers at these addresses in random order, by IPv4 and by IPv6. The second are spare: this machine may have no IPv6.
func (w *walk) at(list []netip.Addr) (four, six []candidate) {
	for _, address := range list {
		one := candidate{address: netip.AddrPortFrom(address, w.resolver.port)}
		if address.Is4() {
			four = append(four, one)
			continue
		}
		one.spare = true
		six = append(six, one)
	}
	return shuffled(four), shuffled(six)
}

func shuffled(list []candidate) []candidate {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// askServers asks one server after the other until one gives an answer that is enough, or opinions of them agree that it
// is not.
func (w *walk) askServers(ctx context.Context, at zone, candidates []candidate, name string, q Question) (answer, error) {
	failed := &NoAnswerError{Zone: zoneInWords(at.name)}
	var said []answer
	tries, overIPv4 := 0, false
	for len(candidates) > 0 && tries < triesLimit {
		next := candidates[0]
		candidates = candidates[1:]
		if next.spare && len(said) > 0 {
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
			candidates = slices.Concat(four, candidates, six)
			continue
		}
		tries++
		overIPv4 = overIPv4 || next.address.Addr().Is4()
		got, err := w.askOne(ctx, at, next.address, name, q)
		if err != nil {
			return answer{}, err
		}
		switch {
		case got.reason != "":
			failed.Reasons = append(failed.Reasons, got.reason)
			// A packet may have been lost.
			if got.reason == noReply && (len(candidates) == 0 || candidates[0].spare) && tries < opinions {
				candidates = slices.Insert(candidates, 0, next)
			}
			continue
		case got.referral != nil || q.Enough == nil || len(got.reply.Chain) > 0 || q.Enough(got.reply):
			return got, nil
		}
		if said = append(said, got); len(said) == opinions {
			break
		}
	}
	if len(said) > 0 {
		return said[0], nil
	}
	if tries > 0 && !overIPv4 {
		failed.Reasons = append(failed.Reasons, "not reachable by IPv4")
	}
	return answer{}, failed
}

func (w *walk) askOne(ctx context.Context, at zone, server netip.AddrPort, name string, q Question) (answer, error) {
	recursive := len(w.resolver.resolvers) > 0
	if !recursive && !w.resolver.private && !public(server.Addr()) {
		return answer{reason: "a private address"}, nil
	}
	if w.left == 0 {
		return answer{reason: "too many questions"}, nil
	}
	w.left--
	m, reason, err := w.resolver.exchange.one(ctx, server, name, q.Type, recursive)
	if err != nil || m == nil {
		return answer{reason: reason}, err
	}
	return classify(m, at, name, q.Type, recursive), nil
}

// addresses asks for the addresses of a name server: for those of IPv6 only where there are none of IPv4.
func (w *walk) addresses(ctx context.Context, server string) (four, six []candidate, err error) {
	found, ok := w.resolver.addressesOf.Get(server)
	if !ok || !w.resolver.now().Before(found.until) {
		if w.nesting == nestingLimit {
			return nil, nil, &NoAnswerError{Zone: zoneInWords(server), Reasons: []string{"too many referrals"}}
		}
		found = addresses{until: w.resolver.now().Add(w.resolver.keep)}
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			w.nesting++
			reply, err := w.ask(ctx, Question{Name: server, Type: qtype})
			w.nesting--
			if err != nil {
				return nil, nil, err
			}
			for _, rr := range reply.Records {
				found.list = appendAddress(found.list, rr)
			}
			if len(found.list) > 0 || reply.Absence == NoName {
				break
			}
		}
		w.resolver.addressesOf.Add(server, found)
	}
	if len(found.list) == 0 {
		return nil, nil, &NoAnswerError{Zone: zoneInWords(server)}
	}
	four, six = w.at(found.list)
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
	// An IPv4 address may be written as an IPv6 one.
	address = address.Unmap()
	if !ok || len(list) == serverLimit || slices.Contains(list, address) {
		return list
	}
	return append(list, address)
}

// special are the ranges beyond those of net/netip that are not of the public Internet (RFC 6890): this network, shared
// address space, IETF protocols, benchmarks, reserved; IETF protocols, documentation, and IPv4 addresses in other clothes.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("2002::/16"),
}

// global is all of IPv6 that is given out for the public Internet.
var global = netip.MustParsePrefix("2000::/3")

// public tells whether an address belongs to the public Internet.
func public(address netip.Addr) bool {
	return address.IsGlobalUnicast() && !address.IsPrivate() && (address.Is4() || global.Contains(address)) &&
		!slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(address) })
}
