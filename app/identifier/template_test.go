package identifier_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/identifier"
)

func template(t testing.TB, pattern string) identifier.Template {
	t.Helper()
	parsed, err := identifier.ParseTemplate(pattern, "_/", 63)
	require.NoError(t, err)
	return parsed
}

func TestTemplateKeepsPlainIdentifiers(t *testing.T) {
	t.Parallel()
	require.Equal(t, "user_u1_0123456789abcdef", template(t, "user_{user_uid}_{resource_id}").Name("u1", "0123456789abcdef"))
	require.Equal(t, "db_u1", template(t, "db_{user_uid}").Name("u1", "A-b"))
}

func TestTemplateNamesNeverCollide(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 40)
	ids := []string{"a", "b", "ab", "a_b", "a-b", "A", "aB", "b_c", "c", "a__b", long, long + "b", long + "-b", "user", "x__y"}
	for _, pattern := range []string{"user_{user_uid}_{resource_id}", "kv/{user_uid}/x_{resource_id}"} {
		tmpl := template(t, pattern)
		seen := map[string][2]string{}
		for _, user := range ids {
			for _, resource := range ids {
				name := tmpl.Name(user, resource)
				require.LessOrEqual(t, len(name), 63)
				require.True(t, strings.HasPrefix(name, tmpl.Head()), name)
				require.NotContains(t, seen, name, "%s/%s", user, resource)
				seen[name] = [2]string{user, resource}
			}
		}
	}
}

func TestTemplatesThatCouldCollideAreRefused(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"", "{resource_id}", "user{user_uid}", "user_{user_uid}{resource_id}", "user_{user_uid}x_{resource_id}", "User_{user_uid}",
		"user__{user_uid}", "user_{uid}", "pg_{user_uid}", "information_{resource_id}", `user"_{user_uid}`, "u_" +
			strings.Repeat("x", 60),
	} {
		_, err := identifier.ParseTemplate(pattern, "_", 63)
		require.Error(t, err, pattern)
	}
}

// FuzzTemplate searches identifiers with invalid or colliding names.
func FuzzTemplate(f *testing.F) {
	f.Add("u1", "r1", "u", "1r1")
	f.Add("a_b", "c", "a", "b_c")
	f.Fuzz(func(t *testing.T, user, resource, otherUser, otherResource string) {
		for _, id := range []string{user, resource, otherUser, otherResource} {
			if identifier.Check("id", id) != nil {
				return
			}
		}
		tmpl := template(t, "user_{user_uid}_{resource_id}")
		name := tmpl.Name(user, resource)
		require.Regexp(t, `^user_[a-z0-9_]{1,58}$`, name)
		if user != otherUser || resource != otherResource {
			require.NotEqual(t, name, tmpl.Name(otherUser, otherResource))
		}
	})
}
