package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"app238.com/inner/modules/tasks/job"
)

func newTasksRetry(format *outputFormat) *cobra.Command {
	return newChange(format, job.Admin.Retry, cobra.Command{
		Use:   "retry [ID...]",
		Short: "Return tasks that ended without success to the queue",
		Long: "Returns tasks that ended as error, cancelled or superseded to the queue, with all their attempts: those with these\n" +
			"ids, or all that match the filters, of which only those in error unless --status says otherwise. --dry-run shows\n" +
			"them and changes nothing. The exit status is 0 when all of them were returned.",
		Example: `  inner tasks retry 4711 4712
  inner tasks retry --type worker.deploy_worker --since 2h --dry-run`,
	})
}

func newTasksCancel(format *outputFormat) *cobra.Command {
	return newChange(format, job.Admin.Cancel, cobra.Command{
		Use:   "cancel [ID...]",
		Short: "Cancel pending or waiting tasks",
		Long: "Cancels pending or waiting tasks: those with these ids, or all that match the filters. A task that is being\n" +
			"processed is not interrupted. The row of the task's version or resource gets the reason as its message; a rollout\n" +
			"that has begun goes on, and its outcome is still recorded. --dry-run shows the tasks and changes nothing. The exit\n" +
			"status is 0 when every task was cancelled.",
		Example: `  inner tasks cancel 4711 4712
  inner tasks cancel --user u1 --status pending`,
	})
}

// newChange returns the command of a change of tasks.
func newChange(format *outputFormat, change func(job.Admin, context.Context, job.Selection) ([]job.Change, error),
	cmd cobra.Command) *cobra.Command {
	var selection job.Selection
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if selection.IDs, err = taskIDs(args); err != nil {
			return err
		}
		if err := selection.Validate(); err != nil {
			return usageError{err}
		}
		return withAdmin(cmd, func(ctx context.Context, admin job.Admin) error {
			made, err := change(admin, ctx, selection)
			if err := format.write(cmd, changes{made}, func(t *table) { changesTable(t, made) }); err != nil {
				return err
			}
			if len(made) == 0 && err == nil && format.isTable() {
				printNoMatch(cmd, admin, selection.Filter)
			}
			if err != nil || selection.DryRun {
				return err
			}
			return unchanged(made)
		})
	}
	addTaskFilterFlags(&cmd, &selection.Filter)
	cmd.Flags().BoolVar(&selection.DryRun, "dry-run", false, "show what would be changed, without changing anything")
	return &cmd
}

// changes is the JSON form of the changes of several tasks.
type changes struct {
	Tasks []job.Change `json:"tasks"`
}

func changesTable(t *table, made []job.Change) {
	t.header(kept("ID"), kept("STATUS"), wrapped("RESULT"))
	for _, c := range made {
		t.row(c.ID, status(c.Status), c.Text)
	}
}

// unchanged returns an error when a task was not changed.
func unchanged(made []job.Change) error {
	refused := 0
	for _, c := range made {
		if !c.Changed {
			refused++
		}
	}
	if refused > 0 {
		return fmt.Errorf("%d of %d tasks were not changed", refused, len(made))
	}
	return nil
}
