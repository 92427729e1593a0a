package documents_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/guide"
)

// TestEveryShellBlockIsRun wants each block to be run by a test, or to say why it is not. sh reads all of them.
func TestEveryShellBlockIsRun(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	for _, content := range files(t, "_test.go") {
		if strings.Contains(content, "guide.Of(") {
			for _, match := range regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`).FindAllStringSubmatch(content, -1) {
				tests[match[1]] = true
			}
		}
	}
	found := 0
	for path, text := range documents(t) {
		blocks, err := guide.Blocks(text)
		require.NoError(t, err, path)
		for _, block := range blocks {
			found++
			require.NoError(t, guide.Check(t.Context(), block.Script), "%s, line %d", path, block.Line)
			if block.Reason == "" {
				require.Contains(t, tests, block.Test, "%s, line %d: no test runs this block", path, block.Line)
			}
		}
	}
	require.Greater(t, found, 5)
}

func TestShellBlocksAreFound(t *testing.T) {
	t.Parallel()
	blocks, err := guide.Blocks("1. x\n\n   <!-- run by TestX -->\n   ```sh\n   a |\n     b\n   ```\n\n```\nsh\n```\n<!-- not run: y -->\n```sh\nc\n```\n\n```sh\nd\n```\n")
	require.NoError(t, err)
	require.Equal(t, []guide.Block{
		{Line: 4, Script: "a |\n  b\n", Test: "TestX"}, {Line: 13, Script: "c\n", Reason: "y"}, {Line: 17, Script: "d\n"},
	}, blocks)
	_, err = guide.Blocks("```bash\nx <<< y\n```\n")
	require.ErrorContains(t, err, "bash")
	require.Error(t, guide.Check(t.Context(), "kubectl apply -k <your overlay>"))
}
