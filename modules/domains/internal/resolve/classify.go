package resolve

import (
	"strings"

	"github.com/miekg/dns"
)

// answer is the meaning of a server's message: a reply, a referral to the servers of a child zone, or the reason why it is
// unusable.
type answer struct {
	reply    Reply
	referral *zone
	reason   string
}

// classify reads a message of a server of a zone. An authoritative server is trusted for names of its own zone only, and only if
// the answer is authoritative; a recursive resolver is trusted.
func classify(m *dns.Msg, queried zone, name string, qtype uint16, recursive bool) answer {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return answer{reason: dns.RcodeToString[m.Rcode]}
	}
	reply, last := chain(m, queried.name, name, qtype)
	authority := recursive || m.Authoritative
	switch {
	case len(reply.Records) > 0, len(reply.Chain) > 0:
		if !authority {
			return answer{reason: "no authority for the zone"}
		}
		// NXDOMAIN is about the last name of the chain and counts only if that is in the zone.
		if len(reply.Records) == 0 && m.Rcode == dns.RcodeNameError && dns.IsSubDomain(queried.name, last) {
			reply.Absence = NXDomain
		}
		return answer{reply: reply}
	case m.Rcode == dns.RcodeNameError:
		if !authority {
			return answer{reason: "no authority for the zone"}
		}
		return answer{reply: Reply{Absence: NXDomain}}
	case recursive:
		return answer{reply: Reply{Absence: NoData}}
	}
	if referral := referralOf(m, queried.name, name); referral != nil {
		return answer{referral: referral}
	}
	if !authority {
		return answer{reason: "no authority for the zone"}
	}
	return answer{reply: Reply{Absence: NoData}}
}

// chain follows the CNAME records of a message from name, as long as they belong to the zone.
func chain(m *dns.Msg, zoneName, name string, qtype uint16) (reply Reply, last string) {
	last = name
	for range aliasLimit + 1 {
		next := ""
		for _, rr := range m.Answer {
			if !strings.EqualFold(rr.Header().Name, last) || rr.Header().Class != dns.ClassINET || !dns.IsSubDomain(zoneName, last) {
				continue
			}
			if rr.Header().Rrtype == qtype {
				reply.Records = append(reply.Records, rr)
			} else if alias, ok := rr.(*dns.CNAME); ok {
				next = dns.CanonicalName(alias.Target)
			}
		}
		if len(reply.Records) > 0 || next == "" {
			return reply, last
		}
		reply.Chain = append(reply.Chain, trimDot(next))
		last = next
	}
	return reply, last
}

// referralOf returns the zone of a referral, or nil. Only a child of the queried zone that contains name is accepted, so that
// iteration always descends.
func referralOf(m *dns.Msg, queriedZone, name string) *zone {
	var found *zone
	for _, rr := range m.Ns {
		switch record := rr.(type) {
		case *dns.SOA:
			return nil
		case *dns.NS:
			cut := dns.CanonicalName(record.Hdr.Name)
			if cut == queriedZone || !dns.IsSubDomain(queriedZone, cut) || !dns.IsSubDomain(cut, name) {
				continue
			}
			if found == nil {
				found = &zone{name: cut}
			}
			if cut == found.name && len(found.servers) < serverLimit {
				server := dns.CanonicalName(record.Ns)
				found.servers = append(found.servers, nameServer{name: server, addresses: glue(m, queriedZone, server)})
			}
		}
	}
	return found
}

// glue returns a server's addresses from the additional section, if the server's name is in the answering zone.
func glue(m *dns.Msg, queriedZone, server string) addresses {
	var found addresses
	for _, rr := range m.Extra {
		if strings.EqualFold(rr.Header().Name, server) && dns.IsSubDomain(queriedZone, server) {
			found.list = appendAddress(found.list, rr)
		}
	}
	return found
}
