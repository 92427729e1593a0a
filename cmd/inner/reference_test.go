package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

func TestCommandReferenceIsUpToDate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "commands.md")
	_, err := execute(t, "reference", file)
	require.NoError(t, err)
	made, err := os.ReadFile(file)
	require.NoError(t, err)
	kept, err := os.ReadFile("../../docs/commands.md")
	require.NoError(t, err)
	require.Equal(t, string(made), string(kept), "run make generate")
}

func TestEveryCommandHasDescriptionAndExample(t *testing.T) {
	t.Parallel()
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		require.NotEmpty(t, cmd.Short, cmd.CommandPath())
		require.False(t, strings.HasSuffix(cmd.Short, "."), cmd.CommandPath())
		if !cmd.HasSubCommands() {
			require.Contains(t, cmd.Example, cmd.CommandPath(), "%s has no example", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			if name := sub.Name(); name != "completion" && name != "help" { // cobra's own
				check(sub)
			}
		}
	}
	check(newRoot())
}
