package tracing_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzContinue reads what stands in a row as the trace of its request. A task runs whatever that is, and what is passed on
// from it is well formed.
func FuzzContinue(f *testing.F) {
	for _, seed := range []string{
		"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01", "00-0-0-00", "ff-" + "\x00",
		"01-0123456789abcdef0123456789abcdef-0123456789abcdef-03-more",
	} {
		f.Add(seed)
	}
	b := setup(f, 0)
	f.Fuzz(func(t *testing.T, parent string) {
		ctx, end := b.Continue(t.Context(), parent, "x", 7, 1)
		defer end(nil)
		if onward := b.Parent(ctx); onward != "" {
			require.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]$`, onward)
			require.Contains(t, parent, onward[3:35], "another trace")
		}
	})
}
