package desired_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/workers/internal/desired"
)

// FuzzColumns parses what a user may have stored in the JSON columns of workers. An error may contain a variable's name,
// never a value.
func FuzzColumns(f *testing.F) {
	for _, seed := range []string{
		`{"A":"x"}`, `["A"]`, `{"A":{"B":1e999}}`, `{"A":`, "null", "", `{"\u0000":"\ud800"}`,
		`{"x b":"c"}`, `"a b":"x"}`, `{"A":"x\u0000"}`,
	} {
		f.Add(seed)
	}
	const mark = "S3CR3TMARK"
	f.Fuzz(func(t *testing.T, column string) {
		marked := strings.ReplaceAll(column, "x", mark)
		value := `{"A":"` + mark + `",`
		for _, written := range []string{column, marked, value + column, value + marked} {
			_, err := desired.Environment(written)
			_, other := desired.SecretKeys(written)
			for _, failure := range []error{err, other, desired.CheckEnvironment(written)} {
				if failure != nil && !nameContains(written, mark) {
					require.NotContains(t, failure.Error(), mark)
				}
			}
		}
	})
}

// nameContains reports whether the name of one of the column's variables contains text.
func nameContains(column, text string) bool {
	var variables map[string]json.RawMessage
	if json.Unmarshal([]byte(column), &variables) != nil {
		return false
	}
	for name := range variables {
		if strings.Contains(name, text) {
			return true
		}
	}
	return false
}
