package resolve

import (
	"strings"

	"github.com/miekg/dns"
)

// answer is what one message of a server says: a reply, a referral to the servers of a zone further down, or nothing that
// could be used, for a reason.
type answer struct {
	reply    Reply
	referral *zone
	reason   string
}

// classify reads a message of a server of a zone. An authoritative server is believed about names of its own zone only, and
// only where it says that it is authoritative; a recursive resolver is believed.
func classify(m *dns.Msg, asked zone, name string, qtype uint16, recursive bool) answer {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return answer{reason: dns.RcodeToString[m.Rcode]}
	}
	reply, last := chain(m, asked.name, name, qtype)
	authority := recursive || m.Authoritative
	switch {
	case len(reply.Records) > 0, len(reply.Chain) > 0:
		if !authority {
			return answer{reason: "no authority for the zone"}
		}
		// What is said of the last name counts only where the server knows about it.
		if len(reply.Records) == 0 && m.Rcode == dns.RcodeNameError && dns.IsSubDomain(asked.name, last) {
			reply.Absence = NoName
		}
		return answer{reply: reply}
	case m.Rcode == dns.RcodeNameError:
		if !authority {
			return answer{reason: "no authority for the zone"}
		}
		return answer{reply: Reply{Absence: NoName}}
	case recursive:
		return answer{reply: Reply{Absence: NoData}}
	}
	if referral := refers(m, asked.name, name); referral != nil {
		return answer{referral: referral}
	}
	if !authority {
		return answer{reason: "no authority for the zone"}
	}
	return answer{reply: Reply{Absence: NoData}}
}

// chain follows the CNAME records of a message from name as far as they are the zone's own.
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
		reply.Chain = append(reply.Chain, plain(next))
		last = next
	}
	return reply, last
}

// refers returns the zone that a message refers to: one below the asked one that name lies in. Anything else would lead
// back or astray.
func refers(m *dns.Msg, askedZone, name string) *zone {
	var found *zone
	for _, rr := range m.Ns {
		switch record := rr.(type) {
		case *dns.SOA:
			return nil
		case *dns.NS:
			cut := dns.CanonicalName(record.Hdr.Name)
			if cut == askedZone || !dns.IsSubDomain(askedZone, cut) || !dns.IsSubDomain(cut, name) {
				continue
			}
			if found == nil {
				found = &zone{name: cut}
			}
			if cut == found.name && len(found.servers) < serverLimit {
				server := dns.CanonicalName(record.Ns)
				found.servers = append(found.servers, nameServer{name: server, addresses: glue(m, askedZone, server)})
			}
		}
	}
	return found
}

// glue returns the addresses of a server that a message brings, where the answering zone may speak for the server's name.
func glue(m *dns.Msg, askedZone, server string) addresses {
	var found addresses
	for _, rr := range m.Extra {
		if strings.EqualFold(rr.Header().Name, server) && dns.IsSubDomain(askedZone, server) {
			found.list = appendAddress(found.list, rr)
		}
	}
	return found
}
