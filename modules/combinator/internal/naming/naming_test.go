package naming

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDifferencesReportCountAndFirst(t *testing.T) {
	t.Parallel()
	d := differences{key: "combinator.rdb.names", what: "schemas"}
	d.compare("user_a_b", "user_a_b")
	require.NoError(t, d.err())
	d.compare("user_a_b", "s_b")
	d.compare("user_a_c", "s_c")
	require.EqualError(t, d.err(), "combinator.rdb.names: 2 existing schemas have other names (user_a_b would be s_b): "+
		"restore the templates, or move the data first")
}
