package resolve

import (
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func TestSpecialPurposeAddressesAreNotPublic(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		records []string
		want    bool
	}{
		{[]string{"A 198.41.0.4", "AAAA 2001:503:ba3e::2:30", "AAAA 2606:4700::1111", "AAAA ::ffff:198.41.0.4"}, true},
		{[]string{"A 10.0.0.1", "A 127.0.0.1", "A 100.64.0.1", "AAAA ::1", "AAAA ::", "AAAA fe80::1", "AAAA fd00::1", "AAAA ff02::1",
			"AAAA ::ffff:10.0.0.1", "AAAA 64:ff9b::a00:1", "AAAA 2002:a00:1::1", "AAAA 2001::1", "AAAA 2001:db8::1",
			"AAAA 3fff::1"}, false},
	} {
		for _, text := range each.records {
			rr, err := dns.NewRR("ns.example.test. 60 IN " + text)
			require.NoError(t, err)
			list := appendAddress(nil, rr)
			require.Len(t, list, 1, text)
			require.Equal(t, each.want, public(list[0]), text)
		}
	}
}
