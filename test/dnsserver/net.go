// Package dnsserver plays a small Internet of DNS servers on loopback addresses: a root, zones that delegate to each
// other, and servers that fail, are slow or stay silent. Everything goes over real UDP and TCP sockets.
package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Net is a set of servers that share one port, as those of the Internet share port 53.
type Net struct {
	// Port is that of all servers.
	Port int
	// Root serves the root zone.
	Root *Server

	mu      sync.Mutex
	first   [3]byte
	servers []*Server
}

// attempts bounds the search for a network of loopback addresses in which nobody listens.
const attempts = 20

// New starts a root server.
func New() (*Net, error) {
	var failures []error
	for range attempts {
		n := &Net{first: [3]byte{127, byte(1 + rand.IntN(250)), byte(rand.IntN(250))}}
		root, err := n.Server(".")
		if err == nil {
			n.Root = root
			return n, nil
		}
		failures = append(failures, err)
	}
	return nil, fmt.Errorf("start a DNS server: %w", errors.Join(failures...))
}

// Server starts a further server, authoritative for the zones.
func (n *Net) Server(zones ...string) (*Server, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.server(netip.AddrFrom4([4]byte{n.first[0], n.first[1], n.first[2], byte(len(n.servers) + 1)}), zones)
}

// Server6 is Server at the one loopback address of IPv6. A machine without IPv6 has none: an error.
func (n *Net) Server6(zones ...string) (*Server, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.server(netip.IPv6Loopback(), zones)
}

func (n *Net) server(address netip.Addr, zones []string) (*Server, error) {
	s := &Server{
		Addr:      address,
		net:       n,
		ended:     make(chan struct{}),
		zones:     map[string]bool{},
		records:   map[string][]dns.RR{},
		plays:     map[string]Play{},
		asked:     map[string]int{},
		delegated: map[string]bool{},
	}
	for _, zone := range zones {
		s.zones[dns.CanonicalName(zone)] = true
	}
	if err := s.listen(n.Port); err != nil {
		return nil, err
	}
	n.Port = s.port
	n.servers = append(n.servers, s)
	return s, nil
}

// Close ends all servers.
func (n *Net) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var failures []error
	for _, s := range n.servers {
		failures = append(failures, s.close())
	}
	return errors.Join(failures...)
}

// listen binds UDP and TCP to the same port; 0 chooses one.
func (s *Server) listen(port int) error {
	packets, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp",
		netip.AddrPortFrom(s.Addr, uint16(port)).String())
	if err != nil {
		return err
	}
	bound, err := netip.ParseAddrPort(packets.LocalAddr().String())
	if err != nil {
		return errors.Join(err, packets.Close())
	}
	s.port = int(bound.Port())
	streams, err := new(net.ListenConfig).Listen(context.Background(), "tcp", bound.String())
	if err != nil {
		return errors.Join(err, packets.Close())
	}
	s.start(&dns.Server{PacketConn: packets}, &dns.Server{Listener: streams})
	return nil
}

func (s *Server) start(servers ...*dns.Server) {
	for _, server := range servers {
		server.Handler = s
		server.ReadTimeout = time.Minute
		ready := make(chan struct{})
		server.NotifyStartedFunc = func() { close(ready) }
		s.running = append(s.running, server)
		s.done.Go(func() {
			if err := server.ActivateAndServe(); err != nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.failure = err
			}
		})
		<-ready
	}
}

func (s *Server) close() error {
	close(s.ended)
	var failures []error
	for _, server := range s.running {
		failures = append(failures, server.Shutdown())
	}
	s.done.Wait()
	return errors.Join(append(failures, s.failure)...)
}
