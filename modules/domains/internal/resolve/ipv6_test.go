package resolve_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"app238.com/inner/test/dnsserver"
)

func TestIPv6OnlyServersAreQueriedWhereIPv6Works(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Timeout = 500 * time.Millisecond
	server, noIPv6 := b.net.Server6("glue.test.", "named.test.")
	if noIPv6 != nil {
		// The same address without a server.
		server = &dnsserver.Server{Addr: netip.IPv6Loopback()}
	} else {
		require.NoError(t, server.Add("www.glue.test. 60 IN A 192.0.2.1", "www.named.test. 60 IN A 192.0.2.1"))
	}
	records := []string{
		"glue.test. 60 IN NS ns.glue.test.", "ns.glue.test. 60 IN AAAA ::1", "named.test. 60 IN NS six.example.test.",
	}
	require.NoError(t, b.tld.Add(records...))
	b.tld.Cut("glue.test.")
	b.tld.Cut("named.test.")
	b.add("six.example.test. 60 IN AAAA ::1")
	for _, zone := range []string{"glue.test", "named.test"} {
		reply, err := b.query(b.resolver(), "www."+zone, dns.TypeA)
		if noIPv6 != nil {
			requireLookupError(t, err, "the name servers of "+zone+" failed: not reachable, not reachable by IPv4")
			continue
		}
		require.NoError(t, err)
		require.Len(t, reply.Records, 1)
		server.Play("", dnsserver.Play{Silent: true})
		_, err = b.query(b.resolver(), "www."+zone, dns.TypeA)
		requireLookupError(t, err, "the name servers of "+zone+" failed: no answer in time, not reachable by IPv4")
		server.Behave()
	}
}

func TestIPv4IsQueriedFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add("www.example.test. 60 IN A 192.0.2.1")
	// No server has these addresses.
	require.NoError(t, b.tld.Add("ns1.example.test. 60 IN AAAA 2001:db8::1", "ns2.example.test. 60 IN AAAA 2001:db8::2"))
	for range 10 {
		reply, err := b.query(b.resolver(), "www.example.test", dns.TypeA)
		require.NoError(t, err)
		require.Len(t, reply.Records, 1)
	}
	require.Equal(t, map[string]int{"noerror": 30}, b.results)
}
