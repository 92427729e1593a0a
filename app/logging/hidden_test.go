package logging_test

import (
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/logging"
)

func TestValuesAreMaskedInAllEncodings(t *testing.T) {
	t.Parallel()
	const value = "line \"one\"\nline two <&>"
	h := logging.Hide(value, "line", "7", "", "hunter2", "hunter2MARK")
	for text, want := range map[string]string{
		"it is " + value + ".":                                            "it is ***.",
		fmt.Sprintf("it is %q.", value):                                   `it is "***".`,
		`it is "line \"one\"\nline two \u003c\u0026\u003e".`:              `it is "***".`,
		"it is " + base64.StdEncoding.EncodeToString([]byte(value)) + ".": "it is ***.",
		`"7" is not '7', nor 7, and a "line" no line`:                     `"***" is not '***', nor 7, and a "***" no line`,
		"hunter2MARK, hunter2, hunter":                                    "***, ***, hunter",
		"":                                                                "",
	} {
		require.Equal(t, want, h.Values(text))
	}
	require.Equal(t, "sk_*** or ***", h.Text("sk_live or hunter2"))
	require.Equal(t, "as it is", logging.Hidden{}.Values("as it is"))
}
