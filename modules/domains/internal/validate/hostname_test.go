package validate_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/internal/validate"
)

func TestSpellingsOfAHostHaveOneCanonicalForm(t *testing.T) {
	t.Parallel()
	for want, spellings := range map[string][]string{
		"www.example.com": {"www.example.com", "WWW.Example.COM", "www.example.com.", " www.example.com ", "www。example．com"},
		"xn--bcher-kva.example": {
			"bücher.example", "BÜCHER.example.", "xn--bcher-kva.example", "XN--BCHER-KVA.EXAMPLE", "bu\u0308cher.example",
		},
		"xn--strae-oqa.example":        {"straße.example"},
		"xn--80aswg.xn--p1ai":          {"сайт.рф"},
		"a-b.c0.example":               {"a-b.c0.example"},
		strings.Repeat("a", 63) + ".b": {strings.Repeat("A", 63) + ".b."},
	} {
		for _, s := range spellings {
			got, err := validate.CanonicalHost(s)
			require.NoError(t, err, s)
			require.Equal(t, want, got, s)
		}
	}
}

func TestInvalidHostNamesAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", ".", "..", "a..b", ".a.b", "a.b..", "-a.b", "a-.b", "a_b.c", "*.example.com", "a b.c", "a`b.c", "a`) || Host(`b.c",
		"a\"b.c", "a'b.c", "a/b.c", "a\\b.c", "a{b}.c", "a(b.c", "a,b.c", "a;b.c", "a$b.c", "a%b.c", "a\nb.c", "a\x00b.c", "a:443",
		"http://a.b", "user@a.b", "xn--.b", "xn--a.b", "xn--zzzzzzzz99999.b", "a\u200bb.c\u202e", strings.Repeat("a", 64) + ".b",
		strings.Repeat("a.", 127) + "bc", "1.2.3.4", "1.2.3.4.", "::1", "[::1]", "fe80::1%eth0", "2130706433",
		"0x7f.1", "a.0x7f", "127.1", "localhost",
	} {
		got, err := validate.CanonicalHost(name)
		require.Error(t, err, "%q became %q", name, got)
	}
}

func TestIsSubdomainComparesLabels(t *testing.T) {
	t.Parallel()
	require.True(t, validate.IsSubdomain("a.b.c", "b.c"))
	require.True(t, validate.IsSubdomain("b.c", "b.c"))
	require.False(t, validate.IsSubdomain("ab.c", "b.c"))
	require.False(t, validate.IsSubdomain("c", "b.c"))
}

func FuzzCanonicalHost(f *testing.F) {
	for _, seed := range []string{
		"www.example.com", "bücher.example.", "a`b.c", "xn--bcher-kva.example", "1.2.3.4", "ａ.b", "0.\x8b", "0.\ufffd",
	} {
		f.Add(seed)
	}
	safe := regexp.MustCompile(`^[a-z0-9.-]{3,253}$`)
	f.Fuzz(func(t *testing.T, name string) {
		got, err := validate.CanonicalHost(name)
		if err != nil {
			return
		}
		if !safe.MatchString(got) {
			t.Fatalf("%q became %q", name, got)
		}
		second, err := validate.CanonicalHost(got)
		if err != nil || second != got {
			t.Fatalf("%q became %q, and that %q (%v)", name, got, second, err)
		}
	})
}
