package dnsserver

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Play is what a server does instead of answering as it should.
type Play struct {
	// Rcode is answered, such as dns.RcodeServerFailure.
	Rcode int
	// Delay is how late the answer is.
	Delay time.Duration
	// Silent gives no answer at all.
	Silent bool
	// Truncated leaves records out of answers over UDP and says so.
	Truncated bool
	// Lame answers without authority.
	Lame bool
	// Foreign answers another question than was asked.
	Foreign bool
	// Rotate answers with one of the addresses, with another one each time.
	Rotate bool
	// NoEDNS refuses questions with EDNS, as very old servers do.
	NoEDNS bool
}

// Server is one name server.
type Server struct {
	// Addr is where it listens, over UDP and TCP.
	Addr netip.Addr

	net     *Net
	port    int
	running []*dns.Server
	ended   chan struct{}
	done    sync.WaitGroup

	mu        sync.Mutex
	zones     map[string]bool
	records   map[string][]dns.RR
	delegated map[string]bool
	plays     map[string]Play
	asked     map[string]int
	delay     time.Duration
	failure   error
	cache     map[dns.Question]*dns.Msg
}

// Add adds records, in the form of a zone file.
func (s *Server) Add(records ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			return fmt.Errorf("record %q: %w", text, err)
		}
		name := dns.CanonicalName(rr.Header().Name)
		s.records[name] = append(s.records[name], rr)
	}
	return nil
}

// Remove removes all records of a name.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, dns.CanonicalName(name))
}

// Delegate hands a zone to other servers, with their addresses beside it. They become authoritative for it.
func (s *Server) Delegate(zone string, to ...*Server) error {
	zone = dns.CanonicalName(zone)
	for i, child := range to {
		name := fmt.Sprintf("ns%d.%s", i+1, zone)
		kind := " 3600 IN A "
		if child.Addr.Is6() {
			kind = " 3600 IN AAAA "
		}
		if err := s.Add(zone+" 3600 IN NS "+name, name+kind+child.Addr.String()); err != nil {
			return err
		}
		child.mu.Lock()
		child.zones[zone] = true
		child.mu.Unlock()
	}
	s.Cut(zone)
	return nil
}

// Cut makes the NS records of a name a delegation.
func (s *Server) Cut(zone string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delegated[dns.CanonicalName(zone)] = true
}

// Play has the server misbehave for a name; "" for every name.
func (s *Server) Play(name string, p Play) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != "" {
		name = dns.CanonicalName(name)
	}
	s.plays[name] = p
}

// Behave ends what was played.
func (s *Server) Behave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plays = map[string]Play{}
}

// SetDelay has every answer come late.
func (s *Server) SetDelay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// QueryCount returns how many queries for a name were received; "" counts all.
func (s *Server) QueryCount(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != "" {
		return s.asked[dns.CanonicalName(name)]
	}
	total := 0
	for _, n := range s.asked {
		total += n
	}
	return total
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	if len(question.Question) != 1 {
		return
	}
	overUDP := w.RemoteAddr().Network() == "udp"
	p, turn, delay := s.note(question.Question[0].Name)
	if p.Silent || !s.wait(delay) {
		return
	}
	// Nobody may be there any more to take the answer.
	_ = w.WriteMsg(s.answer(question, p, turn, overUDP))
}

// wait waits and tells whether the server still lives.
func (s *Server) wait(delay time.Duration) bool {
	if delay <= 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ended:
		return false
	}
}

// note counts a question and returns how it is to be answered, and how many of the name there were.
func (s *Server) note(name string) (p Play, turn int, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = dns.CanonicalName(name)
	s.asked[name]++
	p, ok := s.plays[name]
	if !ok {
		p = s.plays[""]
	}
	return p, s.asked[name], s.delay + p.Delay
}

func (s *Server) answer(question *dns.Msg, p Play, turn int, overUDP bool) *dns.Msg {
	reply := new(dns.Msg)
	if p.NoEDNS && question.IsEdns0() != nil {
		return reply.SetRcode(question, dns.RcodeFormatError)
	}
	if p.Rcode != dns.RcodeSuccess {
		return reply.SetRcode(question, p.Rcode)
	}
	if s.cache != nil {
		reply = s.recall(question)
	} else {
		reply = s.Lookup(question)
	}
	if p.Rotate && len(reply.Answer) > 0 {
		reply.Answer = []dns.RR{reply.Answer[turn%len(reply.Answer)]}
	}
	if p.Lame {
		reply.Authoritative = false
	}
	if p.Foreign {
		reply.Question[0].Name = "foreign.test."
	}
	if p.Truncated && overUDP {
		reply.Answer, reply.Ns, reply.Extra, reply.Truncated = nil, nil, nil, true
		return reply
	}
	if overUDP {
		size := dns.MinMsgSize
		if opt := question.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
		}
		reply.Truncate(size)
	}
	return reply
}
