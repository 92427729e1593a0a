package resolve_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/domains/internal/resolve"
	"app238.com/inner/test/dnsserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a DNS with a root, the zone test., and the zone example.test. with two servers.
type bundle struct {
	t       *testing.T
	net     *dnsserver.Net
	tld     *dnsserver.Server
	example [2]*dnsserver.Server
	config  config.DNS

	mu      sync.Mutex
	results map[string]int
}

func setup(t *testing.T) *bundle {
	t.Helper()
	n, err := dnsserver.New()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	b := &bundle{t: t, net: n, results: map[string]int{}}
	b.config = config.DNS{Roots: []string{n.Root.Addr.String()}, Port: n.Port, PrivateServers: true, Queries: 64,
		Timeout: 5 * time.Second, Delegations: time.Minute}
	b.tld = b.server()
	require.NoError(t, n.Root.Delegate("test.", b.tld))
	for i := range b.example {
		b.example[i] = b.server()
	}
	require.NoError(t, b.tld.Delegate("example.test.", b.example[:]...))
	return b
}

func (b *bundle) server() *dnsserver.Server {
	b.t.Helper()
	s, err := b.net.Server()
	require.NoError(b.t, err)
	return s
}

// add adds records to both servers of example.test.
func (b *bundle) add(records ...string) {
	b.t.Helper()
	for _, s := range b.example {
		require.NoError(b.t, s.Add(records...))
	}
}

// misbehave makes all servers of example.test misbehave.
func (b *bundle) misbehave(p dnsserver.Play) {
	for _, s := range b.example {
		s.Play("", p)
	}
}

func (b *bundle) resolver() *resolve.Resolver {
	b.t.Helper()
	r, err := resolve.NewResolver(b.config, func(result string, _ time.Duration) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.results[result]++
	})
	require.NoError(b.t, err)
	return r
}

func (b *bundle) query(r *resolve.Resolver, name string, qtype uint16) (resolve.Reply, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	return r.Query(ctx, resolve.Question{Name: name, Type: qtype})
}

// requireLookupError checks that err is a *LookupError with a reason.
func requireLookupError(t *testing.T, err error, reason string) {
	t.Helper()
	var none *resolve.LookupError
	require.ErrorAs(t, err, &none)
	require.Contains(t, err.Error(), reason)
	require.NotContains(t, err.Error(), "127.", "the error has no address")
}

func TestServersOfAZoneAreFoundFromTheRoot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add(`www.example.test. 60 IN TXT "one" "two"`, `www.example.test. 60 IN TXT "three"`)
	r := b.resolver()
	reply, err := b.query(r, "WWW.Example.TEST", dns.TypeTXT)
	require.NoError(t, err)
	require.Len(t, reply.Records, 2)
	require.Equal(t, []string{"www.example.test"}, reply.Chain)
	_, err = b.query(r, "www.example.test", dns.TypeTXT)
	require.NoError(t, err)
	require.Equal(t, 1, b.net.Root.QueryCount(""), "delegations are cached")
	require.Equal(t, 1, b.tld.QueryCount(""))
}

func TestNegativeAnswersAreNoLookupFailures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add("www.example.test. 60 IN A 192.0.2.1")
	r := b.resolver()
	reply, err := b.query(r, "nobody.example.test", dns.TypeTXT)
	require.NoError(t, err)
	require.Equal(t, resolve.NXDomain, reply.Absence)
	reply, err = b.query(r, "www.example.test", dns.TypeTXT)
	require.NoError(t, err)
	require.Equal(t, resolve.NoData, reply.Absence)
	reply, err = b.query(r, "www.unregistered.test", dns.TypeTXT)
	require.NoError(t, err)
	require.Equal(t, resolve.NXDomain, reply.Absence, "the parent zone answers")

	for reason, p := range map[string]dnsserver.Play{
		"SERVFAIL":                  {Rcode: dns.RcodeServerFailure},
		"REFUSED":                   {Rcode: dns.RcodeRefused},
		"no answer in time":         {Silent: true},
		"no authority for the zone": {Lame: true},
		"an unusable answer":        {Foreign: true},
	} {
		b.misbehave(p)
		b.config.Timeout = 5 * time.Second
		if p.Silent {
			b.config.Timeout = 100 * time.Millisecond
		}
		_, err = b.query(b.resolver(), "www.example.test", dns.TypeA)
		requireLookupError(t, err, "the name servers of example.test failed: "+reason)
	}
}

func TestSlowAnswersAreAwaitedUntilTheTimeout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add("www.example.test. 60 IN A 192.0.2.1")
	b.misbehave(dnsserver.Play{Delay: 400 * time.Millisecond})
	reply, err := b.query(b.resolver(), "www.example.test", dns.TypeA)
	require.NoError(t, err)
	require.Len(t, reply.Records, 1)
	b.config.Timeout = 50 * time.Millisecond
	_, err = b.query(b.resolver(), "www.example.test", dns.TypeA)
	requireLookupError(t, err, "no answer in time")
}

func TestTruncatedAnswersAreRetriedOverTCP(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 60 {
		b.add(fmt.Sprintf(`www.example.test. 60 IN TXT "%03d%s"`, i, strings.Repeat("x", 200)))
	}
	b.misbehave(dnsserver.Play{Truncated: true})
	reply, err := b.query(b.resolver(), "www.example.test", dns.TypeTXT)
	require.NoError(t, err)
	require.Len(t, reply.Records, 60)
}

func TestServersWithoutEDNSAreQueriedWithoutIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add("www.example.test. 60 IN A 192.0.2.1")
	b.misbehave(dnsserver.Play{NoEDNS: true})
	reply, err := b.query(b.resolver(), "www.example.test", dns.TypeA)
	require.NoError(t, err)
	require.Len(t, reply.Records, 1)
}

func TestOneWorkingServerIsEnough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add("www.example.test. 60 IN A 192.0.2.1")
	for _, p := range []dnsserver.Play{{Silent: true}, {Rcode: dns.RcodeServerFailure}, {Lame: true}} {
		b.example[0].Play("", p)
		b.config.Timeout = 5 * time.Second
		if p.Silent {
			b.config.Timeout = 500 * time.Millisecond
		}
		for range 6 {
			reply, err := b.query(b.resolver(), "www.example.test", dns.TypeA)
			require.NoError(t, err)
			require.Len(t, reply.Records, 1)
		}
	}
}

func TestNegativeAnswersAreConfirmedByASecondServer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// One server does not have the new record yet.
	require.NoError(t, b.example[1].Add(`www.example.test. 60 IN TXT "new"`))
	r := b.resolver()
	for range 8 {
		reply, err := r.Query(t.Context(), resolve.Question{Name: "www.example.test", Type: dns.TypeTXT,
			Sufficient: func(reply resolve.Reply) bool { return len(reply.Records) > 0 }})
		require.NoError(t, err)
		require.Len(t, reply.Records, 1)
	}
}

func TestPrivateServersAreQueriedOnlyIfAllowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add("www.example.test. 60 IN A 192.0.2.1")
	b.config.PrivateServers = false
	_, err := b.query(b.resolver(), "www.example.test", dns.TypeA)
	requireLookupError(t, err, "a private address")
	require.Zero(t, b.net.Root.QueryCount(""))
}

func TestMovedZoneIsFoundAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add("www.example.test. 60 IN A 192.0.2.1")
	r := b.resolver()
	_, err := b.query(r, "www.example.test", dns.TypeA)
	require.NoError(t, err)
	moved := b.server()
	b.misbehave(dnsserver.Play{Rcode: dns.RcodeRefused})
	b.tld.Remove("example.test.")
	b.tld.Remove("ns1.example.test.")
	require.NoError(t, b.tld.Delegate("example.test.", moved))
	require.NoError(t, moved.Add("www.example.test. 60 IN A 192.0.2.2"))
	reply, err := b.query(r, "www.example.test", dns.TypeA)
	require.NoError(t, err)
	require.Contains(t, reply.Records[0].String(), "192.0.2.2")
}
