package identifier_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/identifier"
)

func TestCheckAcceptsContractIdentifiers(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "0", "a1b2c3d4", "A-b_c", "550e8400-e29b-41d4-a716-446655440000", strings.Repeat("x", 64)} {
		require.NoError(t, identifier.Check("worker_id", id), id)
	}
}

func TestCheckErrorNamesField(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "-a", "a-", "_", "a'b", "a;b", "a/b", "a b", "ä", "а", "a\n", "a.b", `a"b`,
		strings.Repeat("x", 65), strings.Repeat("x", 500)} {
		err := identifier.Check("worker_id", id)
		require.Error(t, err, id)
		require.Contains(t, err.Error(), "worker_id")
	}
}

func TestPlainPartsGiveContractNames(t *testing.T) {
	t.Parallel()
	k8s := identifier.Style{Separator: "-", Limit: 56}
	require.Equal(t, "w-abc12345-u1", k8s.Name("w", "abc12345", "u1"))
	require.Equal(t, "abc-u1", k8s.Name("", "abc", "u1"))
	sql := identifier.Style{Separator: "_", Limit: 63}
	require.Equal(t, "user_u1_0123456789abcdef", sql.Name("user", "u1", "0123456789abcdef"))
}

func TestDifferentIdentifiersNeverCollide(t *testing.T) {
	t.Parallel()
	style := identifier.Style{Separator: "-", Limit: 40}
	long := strings.Repeat("a", 30)
	input := [][]string{
		{"a-b", "c"}, {"a", "b-c"}, {"a_b", "c"}, {"a", "b_c"}, {"A", "b"}, {"a", "B"}, {"a", "b"}, {"ab", "c"}, {"a", "bc"},
		{"a-b-c", ""}, {long, long + "a"}, {long + "a", long}, {long, long}, {"a"}, {"abc"}, {"A"}, {"a", "b", "c"},
	}
	seen := map[string][]string{}
	for _, parts := range input {
		name := style.Name("w", parts...)
		require.LessOrEqual(t, len(name), 40)
		require.Regexp(t, `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`, name)
		require.Nil(t, seen[name], "%q and %q both give %s", seen[name], parts, name)
		seen[name] = parts
	}
}

func FuzzNameIsUniqueAndFits(f *testing.F) {
	f.Add("a-b", "c", "a", "b-c")
	f.Add("A", "b", "a", "b")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		for _, id := range []string{a, b, c, d} {
			if identifier.Check("id", id) != nil {
				return
			}
		}
		style := identifier.Style{Separator: "-", Limit: 56}
		left, right := style.Name("w", a, b), style.Name("w", c, d)
		if (a == c && b == d) != (left == right) {
			t.Fatalf("%q/%q -> %s, %q/%q -> %s", a, b, left, c, d, right)
		}
		if len(left) > 56 {
			t.Fatalf("%s is longer than 56", left)
		}
	})
}
