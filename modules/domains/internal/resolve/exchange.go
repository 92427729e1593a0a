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

// udpSize is the EDNS buffer size, in bytes, that avoids fragmentation (DNS flag day 2020).
const udpSize = 1232

// Reasons of lookup failures, in words for users.
const (
	noReply     = "no answer in time"
	unreachable = "not reachable"
	unusable    = "an unusable answer"
)

// exchanger sends single queries to single servers. Their number in flight is limited.
type exchanger struct {
	slots   chan struct{}
	timeout time.Duration
	observe Observer
}

func newExchanger(c config.DNS, observe Observer) *exchanger {
	return &exchanger{slots: make(chan struct{}, c.Queries), timeout: c.Timeout, observe: observe}
}

// exchange queries one server: over UDP, over TCP if the reply is truncated, and without EDNS if the server does not support it.
// The reason is "" or says why there is no reply; err is the error of ctx.
func (e *exchanger) exchange(
	ctx context.Context, server netip.AddrPort, name string, qtype uint16, recurse bool,
) (reply *dns.Msg, reason string, err error) {
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

// send sends a message with a random source port and id.
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
		reply, reason = nil, failureReason(err)
	case !answersQuestion(m, reply):
		reply, reason = nil, unusable
	}
	result := reason
	if reply != nil {
		result = strings.ToLower(dns.RcodeToString[reply.Rcode])
	}
	e.observe(result, time.Since(begin))
	return reply, reason
}

// answersQuestion reports whether reply has the question of m.
func answersQuestion(m, reply *dns.Msg) bool {
	if !reply.Response || len(reply.Question) != 1 {
		// Some servers omit the question when they could not parse it.
		return reply.Response && len(reply.Question) == 0 && reply.Rcode == dns.RcodeFormatError
	}
	question, echoed := m.Question[0], reply.Question[0]
	return question.Qtype == echoed.Qtype && question.Qclass == echoed.Qclass && strings.EqualFold(question.Name, echoed.Name)
}

// failureReason returns the reason of a query without a reply.
func failureReason(err error) string {
	var netErr net.Error
	switch {
	case errors.As(err, &netErr) && netErr.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return noReply
	case errors.As(err, new(*net.OpError)):
		return unreachable
	}
	return unusable
}
