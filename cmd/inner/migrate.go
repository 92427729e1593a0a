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
		Long: "Makes every table that is missing and brings Inner's own tables up to date. Tables of the Outer Gateway that\n" +
			"exist are left as they are. May be run again, beside the running program, and by several at once.\n\n" +
			"It reads first what is there: with nothing to do it changes and locks nothing. Each step is printed before it begins,\n" +
			"and what it waits for. Interrupted, it ends what it had begun at the server too; the next run completes it.\n\n" +
			"After a restore of an older database --restored gives it a new id: versions and tasks that the cluster carries\n" +
			"of another id are not compared with its rows any more, and the rows win.",
		Example: "  inner migrate -d postgres://inner@db/platform\n  inner migrate --restored --config /etc/inner/inner.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.LoadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			// Where nobody can be told any more, the work is done all the same.
			tell := func(text string) { _, _ = fmt.Fprintln(cmd.OutOrStdout(), text) }
			steps, err := app.Migrate(cmd.Context(), c, restored, tell)
			if err != nil {
				return err
			}
			if steps == 0 {
				tell("nothing to do")
			}
			text := "the database is up to date"
			if restored {
				text += " and has a new id: the rows win over what the cluster carries"
			}
			tell(text)
			return nil
		},
	}
	cmd.Flags().BoolVar(&restored, "restored", false, "the database was restored from a back-up: give it a new id")
	return cmd
}
