package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	appversion "app238.com/inner/app/version"
)

// version is stamped by the linker: -X main.version=….
var version = string(appversion.Development)

// versionLine is what inner version and inner --version print.
func versionLine() string { return fmt.Sprintf("inner %s (%s)\n", version, runtime.Version()) }

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  inner version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), versionLine())
			return err
		},
	}
}
