package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/admin"
	"app238.com/inner/test/dnsserver"
)

// withDNS adds a DNS to the program's settings and returns its root, which serves every zone.
func (p *program) withDNS(t *testing.T) *dnsserver.Server {
	t.Helper()
	n, err := dnsserver.New()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	settings := fmt.Sprintf("domain: example.com\ndomains: {dns: {roots: [%q], port: %d, privateServers: true, timeout: 10s}}\n",
		n.Root.Addr, n.Port)
	require.NoError(t, os.WriteFile(p.config, []byte(settings), 0o600))
	return n.Root
}

func (p *program) insertDomain(t *testing.T, cdid, user, domain string) {
	t.Helper()
	_, err := p.db.ExecContext(t.Context(), `INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value)
		VALUES ($1, $2, $3::TEXT, 'w1.worker.example.com', '_combinator-verify.' || $3::TEXT, 'combinator-verify=0123456789abcdef0123456789abcdef')`,
		cdid, user, domain)
	require.NoError(t, err)
}

func TestDomainsAreListedAndChecked(t *testing.T) {
	t.Parallel()
	p := setup(t)
	root := p.withDNS(t)
	p.insertDomain(t, "0a1b2c3d", "u1", "www.user.test")
	out, err := p.run(t, "domains", "list")
	require.NoError(t, err)
	require.Regexp(t, `0a1b2c3d +www.user.test +u1 +new +0 +- +-\n`, out)
	out, err = p.run(t, "domains", "list", "-o", "wide")
	require.NoError(t, err)
	require.Regexp(t, `0a1b2c3d +www.user.test +u1 +pending +new +- +0 +- +- +-\n`, out)

	out, err = p.run(t, "domains", "check", "www.user.test")
	require.EqualError(t, err, "www.user.test: wrong: the TXT record _combinator-verify.www.user.test: no such name")
	require.Regexp(t, `u1 +pending +1 +\d+s `, out)
	out, err = p.run(t, "domains", "show", "WWW.user.test")
	require.NoError(t, err)
	words := strings.Join(strings.Fields(out), " ")
	const problem = "Problem it is not verified yet: the TXT record _combinator-verify.www.user.test: no such name"
	require.True(t, strings.HasPrefix(words, problem), out)
	require.Contains(t, words, `_combinator-verify.www.user.test TXT "combinator-verify=0123456789abcdef0123456789abcdef"`)
	out, err = p.run(t, "domains", "list", "--failing")
	require.NoError(t, err)
	require.NotContains(t, out, "www.user.test")
	require.NoError(t, root.Add(`_combinator-verify.www.user.test. 60 IN TXT "combinator-verify=0123456789ABCDEF0123456789ABCDEF"`,
		"www.user.test. 60 IN CNAME w1.worker.example.com."))
	out, err = p.run(t, "domains", "check", "WWW.User.Test.", "0a1b2c3d", "-o", "json")
	require.NoError(t, err, out)
	var page admin.Page
	require.NoError(t, json.Unmarshal([]byte(out), &page))
	require.Len(t, page.Domains, 2)
	require.Equal(t, "success", page.Domains[0].Status)
	require.Equal(t, "verified", page.Domains[0].State)

	_, err = p.run(t, "domains", "check", "nobody.test", "0a1b2c3d")
	require.EqualError(t, err, "no such domain: nobody.test")
}

func TestRefusedTargetHasReason(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.withDNS(t)
	p.insertDomain(t, "0a1b2c3d", "u1", "www.user.test")
	_, err := p.db.ExecContext(t.Context(), `UPDATE custom_domains SET target = 'www.elsewhere.test'`)
	require.NoError(t, err)
	const why = "the target does not belong to the platform, whose names end in example.com"
	_, err = p.run(t, "domains", "check", "www.user.test")
	require.EqualError(t, err, "www.user.test: refused: "+why)
	out, err := p.run(t, "domains", "list", "-o", "json")
	require.NoError(t, err)
	require.Contains(t, out, why)
	// The reason is shown before the first check, too.
	_, err = p.db.ExecContext(t.Context(), `UPDATE inner_domain_checks SET detail = '', answer = ''`)
	require.NoError(t, err)
	out, err = p.run(t, "domains", "list")
	require.NoError(t, err)
	require.Regexp(t, `u1 +refused .* the target does not`, out)
	out, err = p.run(t, "domains", "show", "0a1b2c3d", "-o", "json")
	require.NoError(t, err)
	var details admin.Details
	require.NoError(t, json.Unmarshal([]byte(out), &details))
	require.Equal(t, []string{"it is never served: " + why}, details.Problems)
	out, err = p.run(t, "domains", "list", "--failing")
	require.NoError(t, err)
	require.Contains(t, out, "www.user.test")
}

func TestDomainListIsFilteredAndPaged(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for i := range 3 {
		p.insertDomain(t, fmt.Sprintf("0000000%d", i), fmt.Sprintf("u%d", i%2), fmt.Sprintf("www%d.test", i))
	}
	out, err := p.run(t, "domains", "list", "--limit", "2")
	require.NoError(t, err)
	require.Contains(t, out, "more domains: --before 2")
	out, err = p.run(t, "domains", "list", "--before", "2")
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(out, ".test"))
	out, err = p.run(t, "domains", "list", "--user", "u1")
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(out, ".test"))
	out, err = p.run(t, "domains", "list", "--state", "verified")
	require.NoError(t, err)
	require.NotContains(t, out, ".test")
	_, err = p.run(t, "domains", "list", "--state", "x")
	require.ErrorContains(t, err, "state: must be one of new, pending, verified")
	_, err = p.run(t, "domains", "list", "--limit", "0")
	require.ErrorContains(t, err, "limit: must be 1")
}

func TestServedRowOfSeveralSpellingsIsShown(t *testing.T) {
	t.Parallel()
	p := setup(t)
	p.insertDomain(t, "0a1b2c3d", "u1", "WWW.shared.test")
	p.insertDomain(t, "1a1b2c3d", "u2", "www.shared.test")
	_, err := p.db.ExecContext(t.Context(), `INSERT INTO inner_domain_checks (cdid, row_id, name, user_uid, domain, target, txt_name,
			txt_value, host, verified)
		SELECT cdid, id, cdid, user_uid, domain, target, txt_name, txt_value, 'www.shared.test', cdid = '1a1b2c3d' FROM custom_domains`)
	require.NoError(t, err)
	for name, user := range map[string]string{"www.shared.test": "u2", "WWW.shared.test": "u2", "0a1b2c3d": "u1"} {
		out, err := p.run(t, "domains", "show", name, "-o", "json")
		require.NoError(t, err)
		require.Contains(t, out, fmt.Sprintf(`"user_uid": %q`, user), name)
	}
}
