package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
)

func newMigrate() *cobra.Command {
	return &cobra.Command{
		Use:     "migrate",
		Short:   "Make missing tables and bring Inner's own up to date",
		Long:    "Makes every table that is missing and brings Inner's own tables up to date. Tables of the Outer Gateway that\nexist are left as they are. May be run again, and by several at once.",
		Example: "  inner migrate -d postgres://inner@db/platform",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.LoadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			if err := app.Migrate(cmd.Context(), c); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "the database is up to date")
			return err
		},
	}
}
