package resolve

import (
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// FuzzAnswer reads arbitrary messages. What classify accepts is about names in the queried zone, and a referral leads to a child
// zone.
func FuzzAnswer(f *testing.F) {
	const name = "www.shop.example."
	for _, records := range [][3][]string{
		{{name + " 60 IN A 192.0.2.1"}},
		{{name + " 60 IN CNAME Other.example.", "other.example. 60 IN A 192.0.2.2"}},
		{nil, {"shop.example. 60 IN NS ns.shop.example.", "shop.example. 60 IN NS ns.else."}, {"ns.shop.example. 60 IN A 192.0.2.3"}},
		{nil, {"example. 60 IN NS ns.example.", "else. 60 IN NS ns.else."}},
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
		queried := zone{name: "example."}
		if recursive {
			queried.name = "."
		}
		a := classify(m, queried, name, dns.TypeA, recursive)
		require.LessOrEqual(t, len(a.reply.Chain), aliasLimit+1)
		for _, record := range a.reply.Records {
			require.True(t, dns.IsSubDomain(queried.name, record.Header().Name))
			require.Equal(t, dns.TypeA, record.Header().Rrtype)
		}
		if a.referral != nil {
			requireDownward(t, a.referral, queried.name, name)
		}
	})
}

// requireDownward checks that a referral of the queried zone leads to a child zone that contains name.
func requireDownward(t *testing.T, referral *zone, queried, name string) {
	t.Helper()
	require.NotEqual(t, queried, referral.name)
	require.True(t, dns.IsSubDomain(queried, referral.name))
	require.True(t, dns.IsSubDomain(referral.name, name))
	require.LessOrEqual(t, len(referral.servers), serverLimit)
	for _, server := range referral.servers {
		for _, address := range server.addresses.list {
			require.True(t, address.IsValid())
			require.True(t, dns.IsSubDomain(queried, server.name), "glue for a server outside of the zone")
		}
	}
}
