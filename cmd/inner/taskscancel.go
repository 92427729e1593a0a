package main

import (
	"github.com/spf13/cobra"

	"app238.com/inner/modules/tasks/job"
)

func newTasksCancel(format *outputFormat) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel ID...",
		Short: "End tasks that are pending or waiting",
		Long: "Ends tasks that are pending or waiting as cancelled. One that is being processed is not interrupted. The row that\n" +
			"a task is about says so; what has begun in the cluster goes on, and its outcome is still recorded. The exit status\n" +
			"is 0 when every task was cancelled.",
		Example:           "  inner tasks cancel 4711 4712",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeTasks(cmd, args, format, job.Admin.Cancel)
		},
	}
}
