package dnsserver

import (
	"strings"

	"github.com/miekg/dns"
)

// Lookup answers a question from the server's own zones, as RFC 1034 section 4.3.2 describes it.
func (s *Server) Lookup(question *dns.Msg) *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := question.Question[0]
	reply := new(dns.Msg)
	reply.SetReply(question)
	name := dns.CanonicalName(q.Name)
	if !s.serves(name) {
		return reply.SetRcode(question, dns.RcodeRefused)
	}
	if cut := s.cutAbove(name); cut != "" {
		s.refer(reply, cut)
		return reply
	}
	reply.Authoritative = true
	s.follow(reply, name, q.Qtype)
	if len(reply.Answer) == 0 {
		reply.Ns = append(reply.Ns, s.soa(name))
	}
	return reply
}

// follow adds the records of a name, and those at the end of a CNAME within the server's zones.
func (s *Server) follow(reply *dns.Msg, name string, qtype uint16) {
	for range 8 {
		next := ""
		for _, rr := range s.records[name] {
			alias, isAlias := rr.(*dns.CNAME)
			if rr.Header().Rrtype == qtype || isAlias {
				reply.Answer = append(reply.Answer, rr)
			}
			if isAlias && qtype != dns.TypeCNAME {
				next = dns.CanonicalName(alias.Target)
			}
		}
		if next == "" {
			if len(s.records[name]) == 0 && !s.exists(name) {
				reply.Rcode = dns.RcodeNameError
			}
			return
		}
		if !s.serves(next) || s.cutAbove(next) != "" {
			return
		}
		name = next
	}
}

func (s *Server) serves(name string) bool { return s.zoneOf(name) != "" }

// zoneOf returns the longest of the server's zones that name is in.
func (s *Server) zoneOf(name string) string {
	for at, end := 0, false; !end; at, end = dns.NextLabel(name, at) {
		if s.zones[name[at:]] {
			return name[at:]
		}
	}
	if s.zones["."] {
		return "."
	}
	return ""
}

// cutAbove returns the delegation that name lies at or below, unless the server has that zone itself.
func (s *Server) cutAbove(name string) string {
	zone := s.zoneOf(name)
	for cut := name; cut != zone && cut != "."; {
		if s.delegated[cut] {
			return cut
		}
		i, end := dns.NextLabel(cut, 0)
		if end {
			break
		}
		cut = cut[i:]
	}
	return ""
}

func (s *Server) refer(reply *dns.Msg, cut string) {
	for _, rr := range s.records[cut] {
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		reply.Ns = append(reply.Ns, ns)
		for _, glue := range s.records[dns.CanonicalName(ns.Ns)] {
			if kind := glue.Header().Rrtype; kind == dns.TypeA || kind == dns.TypeAAAA {
				reply.Extra = append(reply.Extra, glue)
			}
		}
	}
}

// exists tells whether the name or one below it has records.
func (s *Server) exists(name string) bool {
	for owner := range s.records {
		if owner == name || strings.HasSuffix(owner, "."+name) {
			return true
		}
	}
	return false
}

func (s *Server) soa(name string) dns.RR {
	zone := s.zoneOf(name)
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 3600},
		Ns:  "ns.invalid.", Mbox: "hostmaster.invalid.", Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 3600,
	}
}

// Resolver starts a recursive resolver that knows what all other servers know, and keeps every answer for ever: a cache
// at its worst. Forget empties it.
func (n *Net) Resolver() (*Server, error) {
	s, err := n.Server()
	if err != nil {
		return nil, err
	}
	s.Forget()
	return s, nil
}

// Forget empties the cache of a resolver.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cache = map[dns.Question]*dns.Msg{}
}

func (s *Server) recall(question *dns.Msg) *dns.Msg {
	q := question.Question[0]
	q.Name = dns.CanonicalName(q.Name)
	s.mu.Lock()
	known, ok := s.cache[q]
	s.mu.Unlock()
	if !ok {
		known = s.net.recurse(question)
		s.mu.Lock()
		s.cache[q] = known
		s.mu.Unlock()
	}
	reply := known.Copy()
	rcode := reply.Rcode
	reply.SetReply(question)
	reply.Rcode, reply.RecursionAvailable = rcode, true
	return reply
}

// recurse asks the server with the longest zone for every name of a chain.
func (n *Net) recurse(question *dns.Msg) *dns.Msg {
	result := new(dns.Msg)
	q := question.Copy()
	for range 8 {
		part := n.best(dns.CanonicalName(q.Question[0].Name)).Lookup(q)
		result.Answer = append(result.Answer, part.Answer...)
		result.Rcode = part.Rcode
		if len(part.Answer) == 0 {
			break
		}
		alias, ok := part.Answer[len(part.Answer)-1].(*dns.CNAME)
		if !ok || q.Question[0].Qtype == dns.TypeCNAME {
			break
		}
		q.Question[0].Name = alias.Target
	}
	return result
}

func (n *Net) best(name string) *Server {
	n.mu.Lock()
	defer n.mu.Unlock()
	best, length := n.Root, 0
	for _, s := range n.servers {
		s.mu.Lock()
		if zone := s.zoneOf(name); len(zone) > length {
			best, length = s, len(zone)
		}
		s.mu.Unlock()
	}
	return best
}
