package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
)

func newMigrate() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Make missing tables and bring Inner's own up to date",
		Long: "Makes every table that is missing and brings Inner's own tables up to date. Tables of the Outer Gateway that\n" +
			"exist are left as they are. May be run again, beside the running program, and by several at once.\n\n" +
			"It reads first what is there: with nothing to do it changes and locks nothing. Each step is printed before it begins,\n" +
			"and what it waits for. Interrupted, it ends what it had begun at the server too; the next run completes it.",
		Example: "  inner migrate -d postgres://inner@db/platform",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.LoadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			// Where nobody can be told any more, the work is done all the same.
			tell := func(text string) { _, _ = fmt.Fprintln(cmd.OutOrStdout(), text) }
			steps, err := app.Migrate(cmd.Context(), c, tell)
			if err != nil {
				return err
			}
			if steps == 0 {
				tell("nothing to do")
			}
			tell("the database is up to date")
			return nil
		},
	}
}
