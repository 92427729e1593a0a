package terminal

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRowsAreThoseThatATerminalShows(t *testing.T) {
	t.Parallel()
	visible, scrolled := replay("a\r\nb\r\nc\r\n\x1b[31md\x1b[0m", 3)
	require.Equal(t, []string{"b", "c", "d"}, visible)
	require.Equal(t, []string{"a"}, scrolled)
	visible, scrolled = replay("a\r\nb\r\nc\x1b[H\x1b[Jnew", 2)
	require.Equal(t, []string{"new", ""}, visible)
	require.Equal(t, []string{"a"}, scrolled)
	_, scrolled = replay("a\r\nb\r\nc\x1b[H\x1b[2J\x1b[3J", 2)
	require.Empty(t, scrolled)
	visible, _ = replay(strings.Repeat("x", Columns)+"\r\n"+strings.Repeat("y", Columns+1), 3)
	require.Equal(t, []string{strings.Repeat("x", Columns), strings.Repeat("y", Columns), "y"}, visible)
}
