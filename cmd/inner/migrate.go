package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
)

func newMigrate() *cobra.Command {
	var restored bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Make missing tables and bring Inner's own up to date",
		Long: "Makes every table that is missing and brings Inner's own tables up to date. Tables of the Outer Gateway that\nexist are left as they are. May be run again, and by several at once.\n\n" +
			"After a restore of an older database --restored gives it a new id: versions and tasks that the cluster carries\nof another id are not compared with its rows any more, and the rows win.",
		Example: "  inner migrate -d postgres://inner@db/platform\n  inner migrate --restored --config /etc/inner/inner.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.LoadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			if err := app.Migrate(cmd.Context(), c, restored); err != nil {
				return err
			}
			text := "the database is up to date"
			if restored {
				text += " and has a new id: the rows win over what the cluster carries"
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&restored, "restored", false, "the database was restored from a back-up: give it a new id")
	return cmd
}
