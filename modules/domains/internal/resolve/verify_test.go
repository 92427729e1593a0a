package resolve_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/resolve"
	"app238.com/inner/modules/domains/internal/validate"
	"app238.com/inner/test/dnsserver"
)

const (
	value  = "combinator-verify=0123456789abcdef0123456789abcdef"
	target = "w1.worker.platform.test"
)

// verifyBundle is a DNS with a user's zone example.test and the platform's zone.
type verifyBundle struct {
	t        *testing.T
	user     *dnsserver.Server
	platform *dnsserver.Server
	config   *config.Config
	dns      *resolve.Resolver
}

func setupVerify(t *testing.T) *verifyBundle {
	t.Helper()
	n, err := dnsserver.New()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	b := &verifyBundle{t: t}
	for zone, server := range map[string]**dnsserver.Server{"example.test.": &b.user, "platform.test.": &b.platform} {
		*server, err = n.Server()
		require.NoError(t, err)
		require.NoError(t, n.Root.Delegate(zone, *server))
	}
	require.NoError(t, b.platform.Add(
		target+". 60 IN A 192.0.2.10", target+". 60 IN A 192.0.2.11", target+". 60 IN AAAA 2001:db8::10"))
	b.config = &config.Config{Domain: "platform.test", Domains: config.Domains{RequireTarget: true, CheckTimeout: 30 * time.Second}}
	b.dns, err = resolve.NewResolver(config.DNS{Roots: []string{n.Root.Addr.String()}, Port: n.Port, PrivateServers: true,
		Queries: 10, Timeout: 500 * time.Millisecond, Delegations: time.Minute}, func(string, time.Duration) {})
	require.NoError(t, err)
	return b
}

func (b *verifyBundle) add(records ...string) {
	b.t.Helper()
	require.NoError(b.t, b.user.Add(records...))
}

func (b *verifyBundle) check(host string) lifecycle.Outcome {
	b.t.Helper()
	claim := validate.Claim{Host: host, Target: target, TXTValue: value}
	outcome, err := resolve.NewVerifier(b.config, b.dns).Check(b.t.Context(), claim)
	require.NoError(b.t, err)
	return outcome
}

func TestTXTRecordsInAnyFormAreAccepted(t *testing.T) {
	t.Parallel()
	b := setupVerify(t)
	b.config.Domains.RequireTarget = false
	for name, records := range map[string][]string{
		"plain":    {`"` + value + `"`},
		"case":     {`"` + strings.ToUpper(value) + `"`},
		"strings":  {`"combinator-verify=0123456789" "abcdef0123456789abcdef"`},
		"records":  {`"v=spf1 -all"`, `"` + value + `"`, `"x"`},
		"dot":      {`"` + value + `."`},
		"spaces":   {`" ` + value + ` "`},
		"quotes":   {`"\"` + value + `\""`},
		"previous": {`"combinator-verify=ffffffffffffffffffffffffffffffff"`, `"` + value + `"`},
	} {
		for _, r := range records {
			b.add("_combinator-verify." + name + ".example.test. 60 IN TXT " + r)
		}
		require.Equal(t, lifecycle.Valid, b.check(name+".example.test").Kind, name)
	}
	b.add("_combinator-verify.alias.example.test. 60 IN CNAME _combinator-verify.plain.example.test.")
	require.Equal(t, lifecycle.Valid, b.check("alias.example.test").Kind)
}

func TestOtherTXTValuesAreInvalid(t *testing.T) {
	t.Parallel()
	b := setupVerify(t)
	for name, checkTXT := range map[string]string{
		"other":  `"combinator-verify=ffffffffffffffffffffffffffffffff"`,
		"longer": `"` + value + `0"`,
		"prefix": `"combinator-verify="`,
		"empty":  `""`,
		"within": `"x ` + value + `"`,
	} {
		b.add("_combinator-verify." + name + ".example.test. 60 IN TXT " + checkTXT)
		outcome := b.check(name + ".example.test")
		require.Equal(t, lifecycle.Invalid, outcome.Kind, name)
		require.Equal(t, "the TXT record _combinator-verify."+name+".example.test does not hold the value", outcome.Text)
	}
	invalid := func(text string) lifecycle.Outcome { return lifecycle.Outcome{Kind: lifecycle.Invalid, Text: text} }
	require.Equal(t, invalid("the TXT record _combinator-verify.none.example.test: no such name"), b.check("none.example.test"))
	b.add("_combinator-verify.host.example.test. 60 IN A 192.0.2.1")
	require.Equal(t, invalid("the TXT record _combinator-verify.host.example.test: no such record"), b.check("host.example.test"))
}

func TestDomainPointsByAliasOrAddress(t *testing.T) {
	t.Parallel()
	b := setupVerify(t)
	for host, records := range map[string][]string{
		"alias":     {"CNAME W1.Worker.Platform.Test."},
		"chain":     {"CNAME alias.example.test."},
		"address":   {"A 192.0.2.11"},
		"six":       {"AAAA 2001:DB8:0::10"},
		"several":   {"A 192.0.2.11", "A 203.0.113.1"},
		"elsewhere": {"A 203.0.113.1"},
		"other":     {"CNAME elsewhere.example.test."},
		"loop":      {"CNAME loop.example.test."},
		"empty":     nil,
	} {
		b.add("_combinator-verify." + host + `.example.test. 60 IN TXT "` + value + `"`)
		for _, r := range records {
			b.add(host + ".example.test. 60 IN " + r)
		}
	}
	for host, want := range map[string]lifecycle.Outcome{
		"alias": {Kind: lifecycle.Valid}, "chain": {Kind: lifecycle.Valid}, "address": {Kind: lifecycle.Valid},
		"six": {Kind: lifecycle.Valid}, "several": {Kind: lifecycle.Valid},
		"elsewhere": {Kind: lifecycle.Invalid, Text: "points at 203.0.113.1 and not at " + target},
		"other":     {Kind: lifecycle.Invalid, Text: "points at elsewhere.example.test, 203.0.113.1"},
		"loop":      {Kind: lifecycle.Invalid, Text: "leads nowhere"},
		"empty":     {Kind: lifecycle.Invalid, Text: "it has no address"},
	} {
		got := b.check(host + ".example.test")
		require.Equal(t, want.Kind, got.Kind, "%s: %s", host, got.Text)
		require.Contains(t, got.Text, want.Text, host)
	}
	b.config.Domains.RequireTarget = false
	require.Equal(t, lifecycle.Valid, b.check("elsewhere.example.test").Kind, "the TXT record is enough without requireTarget")
}

func TestLookupFailuresAreUnreachable(t *testing.T) {
	t.Parallel()
	b := setupVerify(t)
	b.add(`_combinator-verify.www.example.test. 60 IN TXT "`+value+`"`, "www.example.test. 60 IN A 203.0.113.1")
	for _, p := range []dnsserver.Play{{Rcode: dns.RcodeServerFailure}, {Rcode: dns.RcodeRefused}, {Silent: true}} {
		b.user.Play("", p)
		require.Equal(t, lifecycle.Unreachable, b.check("www.example.test").Kind, "the record")
		b.user.Behave()
		b.user.Play("www.example.test", p)
		require.Equal(t, lifecycle.Unreachable, b.check("www.example.test").Kind, "the domain")
		b.user.Behave()
		b.platform.Play("", p)
		require.Equal(t, lifecycle.Unreachable, b.check("www.example.test").Kind, "the platform's own target")
		b.platform.Behave()
	}
	require.Equal(t, lifecycle.Invalid, b.check("www.example.test").Kind)
	b.config.Domains.CheckTimeout = 20 * time.Millisecond
	b.user.Play("", dnsserver.Play{Delay: 100 * time.Millisecond})
	require.Equal(t, lifecycle.Unreachable, b.check("www.example.test").Kind, "a check that takes too long")
}

func TestRefusedClaimIsNotQueried(t *testing.T) {
	t.Parallel()
	b := setupVerify(t)
	outcome, err := resolve.NewVerifier(b.config, b.dns).Check(t.Context(), validate.Claim{Host: "www.example.test", Refusal: "why"})
	require.NoError(t, err)
	require.Equal(t, lifecycle.Outcome{Kind: lifecycle.Refused, Text: "why"}, outcome)
	require.Zero(t, b.user.QueryCount(""))
}

func TestCancelledCheckHasNoOutcome(t *testing.T) {
	t.Parallel()
	b := setupVerify(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	claim := validate.Claim{Host: "www.example.test", Target: target, TXTValue: value}
	_, err := resolve.NewVerifier(b.config, b.dns).Check(ctx, claim)
	require.ErrorIs(t, err, context.Canceled)
}

func TestFlattenedApexWithRotatingAddressesIsVerified(t *testing.T) {
	t.Parallel()
	b := setupVerify(t)
	b.add(`_combinator-verify.example.test. 60 IN TXT "` + value + `"`)
	b.platform.Remove(target)
	for i := range 6 {
		b.add(fmt.Sprintf("example.test. 60 IN A 192.0.2.%d", i))
		require.NoError(t, b.platform.Add(fmt.Sprintf("%s. 60 IN A 192.0.2.%d", target, i)))
	}
	b.user.Play("example.test", dnsserver.Play{Rotate: true})
	b.platform.Play(target, dnsserver.Play{Rotate: true})
	// Advance the target's rotation, so that both answers start at different addresses.
	_, err := b.dns.Query(t.Context(), resolve.Question{Name: target, Type: dns.TypeA})
	require.NoError(t, err)
	require.Equal(t, lifecycle.Valid, b.check("example.test").Kind)
}

func TestAllAddressesOfARotatingTargetAreLearnt(t *testing.T) {
	t.Parallel()
	b := setupVerify(t)
	b.add(`_combinator-verify.example.test. 60 IN TXT "`+value+`"`, "example.test. 60 IN A 192.0.2.5")
	b.platform.Remove(target)
	for i := range 6 {
		require.NoError(t, b.platform.Add(fmt.Sprintf("%s. 60 IN A 192.0.2.%d", target, i)))
	}
	b.platform.Play(target, dnsserver.Play{Rotate: true})
	v := resolve.NewVerifier(b.config, b.dns)
	require.Eventually(t, func() bool {
		outcome, err := v.Check(t.Context(), validate.Claim{Host: "example.test", Target: target, TXTValue: value})
		require.NoError(t, err)
		return outcome.Kind == lifecycle.Valid
	}, 30*time.Second, 200*time.Millisecond)

	b.user.Remove("example.test")
	b.add("example.test. 60 IN A 203.0.113.1")
	outcome, err := v.Check(t.Context(), validate.Claim{Host: "example.test", Target: target, TXTValue: value})
	require.NoError(t, err)
	require.Equal(t, lifecycle.Invalid, outcome.Kind, "an address that never was the target's")
}
