package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

//go:generate go run . reference ../../docs/commands.md

// newReference returns the command that generates docs/commands.md from the help texts.
func newReference() *cobra.Command {
	return &cobra.Command{
		Use:     "reference FILE",
		Short:   "Write the reference of all commands as Markdown",
		Example: "  inner reference docs/commands.md",
		Hidden:  true,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var out bytes.Buffer
			out.WriteString("# Commands\n\nGenerated from the help texts by `make generate`.\n\n")
			for _, sub := range cmd.Root().Commands() {
				// The help of cobra's completion command is long and of no use here.
				sub.Hidden = sub.Hidden || sub.Name() == "completion"
			}
			if err := writeReference(&out, cmd.Root()); err != nil {
				return err
			}
			return os.WriteFile(args[0], out.Bytes(), 0o644) //nolint:gosec // documentation is readable by everybody
		},
	}
}

// writeReference writes one section for cmd and each command below it.
func writeReference(w io.Writer, cmd *cobra.Command) error {
	cmd.DisableAutoGenTag = true
	cmd.InitDefaultHelpFlag()
	var section bytes.Buffer
	// All sections are in one file, so links point to headings.
	if err := doc.GenMarkdownCustom(cmd, &section, func(file string) string {
		return "#" + strings.ReplaceAll(strings.TrimSuffix(file, ".md"), "_", "-")
	}); err != nil {
		return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
	}
	if _, err := section.WriteTo(w); err != nil {
		return err
	}
	for _, sub := range cmd.Commands() {
		if !sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
			continue
		}
		if err := writeReference(w, sub); err != nil {
			return err
		}
	}
	return nil
}
