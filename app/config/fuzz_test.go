package config_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"app238.com/inner/configs"
)

// FuzzFile loads settings files: an accepted one is valid, and an error never contains a secret.
func FuzzFile(f *testing.F) {
	f.Add(string(configs.Defaults))
	for _, seed := range []string{
		"domain: a.b\ntasks: {workers: 7}", "domain: [", "domain: a.b\nhttp: {tls: {certificate: /x, key: /y}}", "? {a: b}\n: c",
		"a: &x [*x]",
	} {
		f.Add(seed)
	}
	const mark = "S3CR3TMARK"
	f.Fuzz(func(t *testing.T, content string) {
		if !utf8.ValidString(content) || strings.Contains(content, mark) || strings.Contains(content, "dsn") {
			return
		}
		c, err := load(t, content, "--database", "postgres://inner:"+mark+"@db/x")
		if err != nil {
			require.NotContains(t, err.Error(), mark)
			return
		}
		require.NoError(t, c.Validate())
		require.Contains(t, c.Secrets(), mark)
	})
}
