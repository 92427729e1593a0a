package resolve

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"app238.com/inner/app/config"
)

// udpSize is what fits into one packet on all usual paths (DNS flag day 2020).
const udpSize = 1232

// What a server did instead of answering, in words for users.
const (
	noReply     = "no answer in time"
	unreachable = "not reachable"
	unusable    = "an unusable answer"
)

// exchanger sends single questions to single servers.
type exchanger struct {
	slots   chan struct{}
	timeout time.Duration
	observe Observer
}

func newExchanger(c config.DNS, observe Observer) *exchanger {
	return &exchanger{slots: make(chan struct{}, c.Questions), timeout: c.Timeout, observe: observe}
}

// one asks one server: over UDP, over TCP where the answer did not fit, and without EDNS where the server knows none. A
// reason other than "" says why there is no message; err is that of ctx alone.
func (e *exchanger) one(ctx context.Context, server netip.AddrPort, name string, qtype uint16, recurse bool) (reply *dns.Msg, reason string, err error) {
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
	defer func() { <-e.slots }()
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.RecursionDesired = recurse
	m.SetEdns0(udpSize, false)
	reply, reason = e.send(ctx, "udp", server, m)
	if reply != nil && (reply.Rcode == dns.RcodeFormatError || reply.Rcode == dns.RcodeNotImplemented) {
		m.Extra = nil
		reply, reason = e.send(ctx, "udp", server, m)
	}
	if reply != nil && reply.Truncated {
		reply, reason = e.send(ctx, "tcp", server, m)
	}
	if ctx.Err() != nil && reply == nil {
		return nil, "", ctx.Err()
	}
	return reply, reason, nil
}

// send sends a message from a port and under a number of its own, both random.
func (e *exchanger) send(ctx context.Context, network string, server netip.AddrPort, m *dns.Msg) (*dns.Msg, string) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	begin := time.Now()
	m.Id = dns.Id()
	client := &dns.Client{Net: network, Timeout: e.timeout}
	reply, _, err := client.ExchangeContext(ctx, m, server.String())
	reason := ""
	switch {
	case err != nil:
		reply, reason = nil, failure(err)
	case !echoes(m, reply):
		reply, reason = nil, unusable
	}
	result := reason
	if reply != nil {
		result = strings.ToLower(dns.RcodeToString[reply.Rcode])
	}
	e.observe(result, time.Since(begin))
	return reply, reason
}

// echoes tells whether reply answers the question of m.
func echoes(m, reply *dns.Msg) bool {
	if !reply.Response || len(reply.Question) != 1 {
		// Some servers leave the question out when they could not read it.
		return reply.Response && len(reply.Question) == 0 && reply.Rcode == dns.RcodeFormatError
	}
	asked, answered := m.Question[0], reply.Question[0]
	return asked.Qtype == answered.Qtype && asked.Qclass == answered.Qclass && strings.EqualFold(asked.Name, answered.Name)
}

// failure names what became of a question that has no answer.
func failure(err error) string {
	var netErr net.Error
	switch {
	case errors.As(err, &netErr) && netErr.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return noReply
	case errors.As(err, new(*net.OpError)):
		return unreachable
	}
	return unusable
}
