package admin

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParseErrors parses errors that another version of Inner stored: each line is shown.
func FuzzParseErrors(f *testing.F) {
	for _, seed := range []string{
		`{"attempt":1,"at":"2026-01-01T00:00:00Z","error":"refused"}` + "\n" + `{"attempt":2}`, "plain text\n\n{", `{"attempt":"x"}`,
		"null", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		lines := 0
		for line := range strings.Lines(stored) {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
		shown := parseErrors(stored)
		require.NotNil(t, shown, "an empty list is shown as []")
		require.Len(t, shown, lines)
	})
}
