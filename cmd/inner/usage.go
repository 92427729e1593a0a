package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/admin"
)

func newUsage() *cobra.Command {
	var format outputFormat
	var user, from, to string
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Show the data changes of users, by resource and day",
		Long: "Sums the usage reports of the Combinator pods by resource and day (UTC), and shows the last measured size of SQL\n" +
			"schemas. It needs the database only, neither the cluster nor a running Inner.",
		Example: "  inner usage --user u1 --from 2026-11-01 --to 2026-12-01\n  inner usage -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query, err := usageQuery(user, from, to)
			if err != nil {
				return usageError{err}
			}
			c, err := config.LoadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			return app.WithAdmins(cmd.Context(), c, app.NoCluster, func(ctx context.Context, admins app.Admins) error {
				days, err := admins.Combinator.Days(ctx, query)
				if err != nil {
					return err
				}
				return format.write(cmd, days, func(t *table) { usageTable(t, days) })
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "uid of a user; all users unless given")
	cmd.Flags().StringVar(&from, "from", "", "first day, like 2026-01-31")
	cmd.Flags().StringVar(&to, "to", "", "last day, like 2026-01-31")
	addOutputFlag(cmd, &format)
	return cmd
}

func usageQuery(user, from, to string) (query admin.Query, err error) {
	query.UserUID = user
	if query.From, err = day("from", from); err != nil {
		return query, err
	}
	if query.To, err = day("to", to); err != nil {
		return query, err
	}
	if !query.To.IsZero() && query.To.Before(query.From) {
		return query, errors.New("--to: before --from")
	}
	return query, nil
}

// day parses a day; "" is the zero time.
func day(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, fmt.Errorf("--%s: must be a day like 2026-01-31", flag)
	}
	return t, nil
}

func usageTable(t *table, days []admin.Day) {
	t.header("USER", "RESOURCE", "TYPE", kept("DAY"), "REPORTS", "CHANGE (BYTES)", "SIZE (BYTES)")
	for _, d := range days {
		size := ""
		if d.Bytes != nil {
			size = fmt.Sprint(*d.Bytes)
		}
		t.row(d.UserUID, d.ResourceID, d.ResourceType, d.Day, d.Reports, d.DataChange, size)
	}
}
