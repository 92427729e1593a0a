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
		Short: "Create missing tables and update Inner's own",
		Long: "Creates every missing table and updates Inner's own tables. Existing tables of the Outer Gateway are not\n" +
			"changed. It is safe to run it repeatedly, concurrently, and while Inner is running.\n\n" +
			"It reads the catalogue first: an up-to-date database is neither changed nor locked. Each step is printed\n" +
			"before it starts, and what it waits for. When interrupted it also cancels the running statement at the\n" +
			"server; the next run completes the migration.\n\n" +
			"After a restore of an older backup, --restored gives the database a new id: versions and tasks in the\n" +
			"cluster with another id are ignored, and the rows take precedence.",
		Example: "  inner migrate -d postgres://inner@db/platform\n  inner migrate --restored --config /etc/inner/inner.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.LoadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			// A failed write does not stop the migration.
			progress := func(text string) { _, _ = fmt.Fprintln(cmd.OutOrStdout(), text) }
			steps, err := app.Migrate(cmd.Context(), c, restored, progress)
			if err != nil {
				return err
			}
			if steps == 0 {
				progress("nothing to do")
			}
			text := "the database is up to date"
			if restored {
				text += " and has a new id: its rows take precedence over the cluster"
			}
			progress(text)
			return nil
		},
	}
	cmd.Flags().BoolVar(&restored, "restored", false, "the database was restored from a backup: give it a new id")
	return cmd
}
