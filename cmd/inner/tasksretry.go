package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"app238.com/inner/modules/tasks/job"
)

func newTasksRetry(format *outputFormat) *cobra.Command {
	return &cobra.Command{
		Use:   "retry ID...",
		Short: "Return tasks that ended without success to the queue",
		Long: "Returns tasks that ended as error, cancelled or superseded to the queue, with all their attempts.\n" +
			"The exit status is 0 when all of them were returned.",
		Example:           "  inner tasks retry 4711 4712",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeTasks(cmd, args, format, job.Admin.Retry)
		},
	}
}

// changes is the JSON form of the changes of several tasks.
type changes struct {
	Tasks []job.Change `json:"tasks"`
}

// changeTasks changes the tasks named by args and prints each change, also where a later one failed.
func changeTasks(cmd *cobra.Command, args []string, format *outputFormat,
	change func(job.Admin, context.Context, []int64) ([]job.Change, error)) error {
	ids, err := taskIDs(args)
	if err != nil {
		return err
	}
	return withAdmin(cmd, func(ctx context.Context, admin job.Admin) error {
		made, err := change(admin, ctx, ids)
		if err := format.write(cmd, changes{made}, func(t *table) { changesTable(t, made) }); err != nil {
			return err
		}
		if err != nil {
			return err
		}
		return unchanged(made)
	})
}

func changesTable(t *table, made []job.Change) {
	t.row("ID", plain("STATUS"), "RESULT")
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
