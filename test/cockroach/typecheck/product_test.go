package typecheck_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/cockroach/source"
	"app238.com/inner/test/cockroach/typecheck"
)

// beginnings are completed by what is known at run time only: tests of the engine and of the migration send the whole.
var beginnings = []string{
	"CREATE SCHEMA ", "CREATE SCHEMA IF NOT EXISTS ", "CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", `ALTER TABLE "x" "x"`,
	`SELECT "x"`, // calls of set_config
}

// TestCockroachDBAcceptsEveryStatement does not depend on what other tests send.
func TestCockroachDBAcceptsEveryStatement(t *testing.T) {
	t.Parallel()
	c := newChecker(t)
	require.NoError(t, c.Check(`CREATE TABLE x (id BIGINT)`), "a table whose name is known at run time only")
	all, err := source.Statements(filepath.Join("..", "..", ".."), "app", "modules", "cmd")
	require.NoError(t, err)
	require.Greater(t, len(all), 100)
	for _, s := range all {
		if _, alone := typecheck.PostgreSQLAlone(s.Text); alone || slices.Contains(beginnings, s.Text) {
			continue
		}
		if err := c.Check(s.Text); err != nil {
			t.Errorf("%s: CockroachDB does not take this statement: %v\n%s", s.Position, err, s.Text)
		}
	}
}
