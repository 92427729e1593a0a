package wish_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/workers/internal/wish"
)

// FuzzColumns reads what a user may have had written to the JSON columns of workers. A fault never tells a value.
func FuzzColumns(f *testing.F) {
	for _, seed := range []string{`{"A":"x"}`, `["A"]`, `{"A":{"B":1e999}}`, `{"A":`, "null", "", `{"\u0000":"\ud800"}`} {
		f.Add(seed)
	}
	const mark = "S3CR3TMARK"
	f.Fuzz(func(t *testing.T, column string) {
		for _, written := range []string{column, strings.ReplaceAll(column, "x", mark)} {
			_, err := wish.Environment(written)
			_, other := wish.SecretKeys(written)
			for _, fault := range []error{err, other, wish.CheckEnvironment(`{"A":"` + mark + `",` + written)} {
				if fault != nil {
					require.NotContains(t, fault.Error(), mark)
				}
			}
		}
	})
}
