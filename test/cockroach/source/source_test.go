package source_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/cockroach/source"
)

const code = `package code

import (
	"context"
	"fmt"
)

// Text is not a statement: "SELECT 1 FROM a comment".
const Text = "to SELECT something"

const (
	head  = "SELECT a FROM t "
	tail  = "WHERE a = $1"
	whole = head + tail
	alone = "DELETE FROM t"
)

var kept = struct{ one, two string }{one: alone, two: "UPDATE t SET a = 1"}

var made = func(limit int) string { return fmt.Sprintf("ALTER ROLE %s SET x = %d; DROP ROLE %s", quote("r"), limit, "r") }

func send(ctx context.Context, name string) []string {
	text := "CREATE DATABASE " + name
	run := func() string { return "COMMENT ON SCHEMA s IS " + toLiteral(name) }
	return append([]string{text, run(), whole}, made(1), kept.one)
}
`

func TestFindsEveryStatementOfASource(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "code"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "code", "code.go"), []byte(code), 0o600))
	require.NoError(t,
		os.WriteFile(filepath.Join(root, "code", "code_test.go"), []byte("package code\n\nconst x = \"DROP TABLE t\""), 0o600))
	all, err := source.Statements(root, "code")
	require.NoError(t, err)
	texts := map[string]string{}
	for _, s := range all {
		texts[s.Text] = s.Position
	}
	require.Equal(t, map[string]string{
		"SELECT a FROM t WHERE a = $1":          "code/code.go:14",
		"DELETE FROM t":                         "code/code.go:15",
		"UPDATE t SET a = 1":                    "code/code.go:18",
		`ALTER ROLE "x" SET x = 1; DROP ROLE r`: "code/code.go:20",
		`CREATE DATABASE "x"`:                   "code/code.go:23",
		"COMMENT ON SCHEMA s IS 'x'":            "code/code.go:24",
	}, texts)
}
