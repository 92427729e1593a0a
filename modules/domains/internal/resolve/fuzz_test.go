package resolve

import (
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// FuzzAnswer reads messages of servers that belong to strangers. What is taken of them is about names that the asked zone
// may speak for, and a referral leads down, never back or astray.
func FuzzAnswer(f *testing.F) {
	const name = "www.shop.example."
	for _, records := range [][3][]string{
		{{name + " 60 IN A 192.0.2.1"}},
		{{name + " 60 IN CNAME Other.example.", "other.example. 60 IN A 192.0.2.2"}},
		{nil, {"shop.example. 60 IN NS ns.shop.example.", "shop.example. 60 IN NS ns.else."}, {"ns.shop.example. 60 IN A 192.0.2.3"}},
		{nil, {"example. 60 IN SOA ns.example. x.example. 1 2 3 4 5"}},
	} {
		m := new(dns.Msg)
		m.SetQuestion(name, dns.TypeA)
		m.Response, m.Authoritative = true, true
		for i, section := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
			for _, text := range records[i] {
				record, err := dns.NewRR(text)
				require.NoError(f, err)
				*section = append(*section, record)
			}
		}
		packed, err := m.Pack()
		require.NoError(f, err)
		f.Add(packed, false)
		f.Add(packed, true)
	}
	f.Fuzz(func(t *testing.T, packed []byte, recursive bool) {
		m := new(dns.Msg)
		if m.Unpack(packed) != nil {
			return
		}
		asked := zone{name: "example."}
		if recursive {
			asked.name = "."
		}
		a := classify(m, asked, name, dns.TypeA, recursive)
		require.LessOrEqual(t, len(a.reply.Chain), aliasLimit+1)
		for _, record := range a.reply.Records {
			require.True(t, dns.IsSubDomain(asked.name, record.Header().Name))
			require.Equal(t, dns.TypeA, record.Header().Rrtype)
		}
		if a.referral != nil {
			requireDownward(t, a.referral, asked.name, name)
		}
	})
}

// requireDownward checks a referral of the asked zone's on the way to name.
func requireDownward(t *testing.T, referral *zone, asked, name string) {
	t.Helper()
	require.NotEqual(t, asked, referral.name)
	require.True(t, dns.IsSubDomain(asked, referral.name))
	require.True(t, dns.IsSubDomain(referral.name, name))
	require.LessOrEqual(t, len(referral.servers), serverLimit)
	for _, server := range referral.servers {
		for _, address := range server.addresses.list {
			require.True(t, address.IsValid())
			require.True(t, dns.IsSubDomain(asked, server.name), "an address of a server that the zone does not speak for")
		}
	}
}
