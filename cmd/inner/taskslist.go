package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"app238.com/inner/modules/tasks/job"
)

// detailWidth is the longest text of a task's details in a list, in characters; inner tasks show prints all of it.
const detailWidth = 60

func newTasksList(format *outputFormat) *cobra.Command {
	var filter job.Filter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tasks, the newest first",
		Example: `  inner tasks list --status error
  inner tasks list --type worker.deploy_worker --limit 20 --before 4711`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := filter.Validate(); err != nil {
				return usageError{fmt.Errorf("--%w", err)}
			}
			return withAdmin(cmd, func(ctx context.Context, admin job.Admin) error {
				page, err := admin.List(ctx, filter)
				if err != nil {
					return err
				}
				if err := format.write(cmd, page, func(t *table) { listTable(t, page) }); err != nil {
					return err
				}
				if page.Next != 0 && *format == tableFormat {
					cmd.PrintErrf("more tasks: --before %d\n", page.Next)
				}
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.Status, "status", "", "only tasks in this state")
	flags.StringVar(&filter.Type, "type", "", "only tasks of this job type or alias")
	flags.StringVar(&filter.Key, "key", "", "only tasks with this ordering key")
	flags.IntVar(&filter.Limit, "limit", 50, fmt.Sprintf("maximum number of tasks, up to %d", job.MaxPage))
	flags.Int64Var(&filter.Before, "before", 0, "only tasks with a lower id: the next page")
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(job.Statuses(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("type", completeJobTypes)
	return cmd
}

func listTable(t *table, page job.Page) {
	t.row("ID", "TYPE", plain("STATUS"), "ATTEMPTS", "KEY", "CREATED (UTC)", "DETAILS")
	for _, task := range page.Tasks {
		t.row(task.ID, task.Type, status(task.Status), task.Attempts, task.OrderingKey, task.CreatedAt,
			shorten(task.Detail, detailWidth))
	}
}
