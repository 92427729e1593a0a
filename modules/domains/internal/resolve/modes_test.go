package resolve_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/internal/resolve"
	"app238.com/inner/test/dnsserver"
)

func TestOnlyRecursiveModeSeesCachedNegativeAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cache, err := b.net.Resolver()
	require.NoError(t, err)
	authoritative := b.resolver()
	b.config.Resolvers = []string{fmt.Sprintf("%s:%d", cache.Addr, b.net.Port)}
	recursive := b.resolver()
	for _, r := range []*resolve.Resolver{authoritative, recursive} {
		reply, err := b.query(r, "www.example.test", dns.TypeTXT)
		require.NoError(t, err)
		require.Equal(t, resolve.NXDomain, reply.Absence)
	}
	b.add(`www.example.test. 60 IN TXT "new"`)
	reply, err := b.query(authoritative, "www.example.test", dns.TypeTXT)
	require.NoError(t, err)
	require.Len(t, reply.Records, 1, "at once")
	reply, err = b.query(recursive, "www.example.test", dns.TypeTXT)
	require.NoError(t, err)
	require.Equal(t, resolve.NXDomain, reply.Absence, "the cached answer")
	cache.Forget()
	reply, err = b.query(recursive, "www.example.test", dns.TypeTXT)
	require.NoError(t, err)
	require.Len(t, reply.Records, 1)
}

func TestRecursiveModeFollowsAliasesAndReportsFailures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add("www.example.test. 60 IN CNAME a.example.test.", "a.example.test. 60 IN A 192.0.2.1",
		"x.example.test. 60 IN CNAME y.example.test.", "y.example.test. 60 IN CNAME x.example.test.")
	cache, err := b.net.Resolver()
	require.NoError(t, err)
	b.config.Resolvers = []string{fmt.Sprintf("%s:%d", cache.Addr, b.net.Port)}
	r := b.resolver()
	reply, err := b.query(r, "www.example.test", dns.TypeA)
	require.NoError(t, err)
	require.Equal(t, []string{"www.example.test", "a.example.test"}, reply.Chain)
	reply, err = b.query(r, "x.example.test", dns.TypeA)
	require.NoError(t, err)
	require.Equal(t, resolve.Loop, reply.Absence)
	cache.Play("", dnsserver.Play{Rcode: dns.RcodeServerFailure})
	_, err = b.query(r, "www.example.test", dns.TypeA)
	requireLookupError(t, err, "the name servers of the DNS failed: SERVFAIL")
}

func TestQueriesInFlightAreLimited(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Queries = 3
	b.config.Timeout = 10 * time.Second
	b.add("www.example.test. 60 IN A 192.0.2.1")
	r := b.resolver()
	_, err := b.query(r, "www.example.test", dns.TypeA)
	require.NoError(t, err)
	b.misbehave(dnsserver.Play{Delay: 50 * time.Millisecond})
	begin := time.Now()
	var queries sync.WaitGroup
	for range 30 {
		queries.Go(func() { _, _ = b.query(r, "www.example.test", dns.TypeA) })
	}
	queries.Wait()
	require.GreaterOrEqual(t, time.Since(begin), 500*time.Millisecond, "30 answers of 50 ms, three at a time")
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Equal(t, 33, b.results["noerror"], "every query was counted")
}

func TestCancelledQueryReturnsContextError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.misbehave(dnsserver.Play{Silent: true})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.resolver().Query(ctx, resolve.Question{Name: "www.example.test", Type: dns.TypeA})
	require.ErrorIs(t, err, context.Canceled)
}
