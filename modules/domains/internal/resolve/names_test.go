package resolve_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/internal/resolve"
	"app238.com/inner/test/dnsserver"
)

func TestAliasesAreFollowedAcrossZones(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.server()
	require.NoError(t, b.tld.Delegate("other.test.", other))
	b.add("www.example.test. 60 IN CNAME a.example.test.", "a.example.test. 60 IN CNAME B.Other.test.")
	require.NoError(t, other.Add("b.other.test. 60 IN CNAME c.other.test.", "c.other.test. 60 IN A 192.0.2.7"))
	r := b.resolver()
	reply, err := b.query(r, "www.example.test", dns.TypeA)
	require.NoError(t, err)
	require.Equal(t, []string{"www.example.test", "a.example.test", "b.other.test", "c.other.test"}, reply.Chain)
	require.Len(t, reply.Records, 1)

	before := other.QueryCount("")
	reply, err = r.Query(t.Context(), resolve.Question{Name: "www.example.test", Type: dns.TypeA,
		Until: func(name string) bool { return name == "b.other.test" }})
	require.NoError(t, err)
	require.Equal(t, "b.other.test", reply.Chain[len(reply.Chain)-1])
	require.Equal(t, before, other.QueryCount(""), "the query ends at the name of Until")
}

func TestAliasLoopsAreNegativeAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add("a.example.test. 60 IN CNAME b.example.test.", "b.example.test. 60 IN CNAME a.example.test.",
		"self.example.test. 60 IN CNAME self.example.test.", "dangling.example.test. 60 IN CNAME none.example.test.")
	for i := range 30 {
		b.add(fmt.Sprintf("c%d.example.test. 60 IN CNAME c%d.example.test.", i, i+1))
	}
	r := b.resolver()
	for _, name := range []string{"a", "self", "c0"} {
		reply, err := b.query(r, name+".example.test", dns.TypeA)
		require.NoError(t, err, name)
		require.Equal(t, resolve.Loop, reply.Absence, name)
	}
	reply, err := b.query(r, "dangling.example.test", dns.TypeA)
	require.NoError(t, err)
	require.Equal(t, resolve.NXDomain, reply.Absence)
}

func TestServersNamedInAnotherZoneAreResolved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	host, provider := b.server(), b.server()
	require.NoError(t, b.tld.Delegate("provider.test.", provider))
	require.NoError(t, provider.Add("ns.provider.test. 60 IN A "+host.Addr.String()))
	require.NoError(t, b.tld.Add("hosted.test. 60 IN NS ns.provider.test."))
	b.tld.Cut("hosted.test.")
	require.NoError(t, host.Delegate("hosted.test.", host))
	require.NoError(t, host.Add("www.hosted.test. 60 IN A 192.0.2.3"))
	reply, err := b.query(b.resolver(), "www.hosted.test", dns.TypeA)
	require.NoError(t, err)
	require.Len(t, reply.Records, 1)
}

// addCircularDelegations adds two zones whose name servers have names in each other.
func (b *bundle) addCircularDelegations() {
	b.t.Helper()
	for a, z := range map[string]string{"one.test.": "two.test.", "two.test.": "one.test."} {
		for i := range 13 {
			require.NoError(b.t, b.tld.Add(fmt.Sprintf("%s 60 IN NS ns%d.%s", a, i, z)))
		}
		b.tld.Cut(a)
	}
}

func TestCircularDelegationsFailAfterFewQueries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addCircularDelegations()
	_, err := b.query(b.resolver(), "www.one.test", dns.TypeA)
	requireLookupError(t, err, "one.test failed")
	require.LessOrEqual(t, b.tld.QueryCount(""), 45)
}

func TestSilentZoneLeavesTheZonesAboveCached(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Timeout = 200 * time.Millisecond
	silent := b.server()
	silent.Play("", dnsserver.Play{Silent: true})
	require.NoError(t, b.tld.Delegate("silent.test.", silent))
	r := b.resolver()
	for _, name := range []string{"a.silent.test", "b.silent.test", "c.silent.test"} {
		_, err := b.query(r, name, dns.TypeTXT)
		requireLookupError(t, err, "silent.test failed")
	}
	require.Equal(t, 1, b.net.Root.QueryCount(""))
}

func TestTooManyQueriesRemoveNoOtherZoneFromTheCache(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add(`www.example.test. 60 IN TXT "x"`)
	b.addCircularDelegations()
	r := b.resolver()
	for range 3 {
		_, err := b.query(r, "www.one.test", dns.TypeTXT)
		requireLookupError(t, err, "failed")
		_, err = b.query(r, "www.example.test", dns.TypeTXT)
		require.NoError(t, err)
	}
	require.Equal(t, 1, b.net.Root.QueryCount(""))
}
