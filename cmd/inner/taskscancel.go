package main

import (
	"github.com/spf13/cobra"

	"app238.com/inner/modules/tasks/job"
)

func newTasksCancel(format *outputFormat) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel ID...",
		Short: "End tasks that are pending or waiting",
		Long: "Ends tasks that are pending or waiting as cancelled. One that is being processed is not interrupted. What a task is\n" +
			"about stays as it is: a rollout that has begun goes on. The exit status is 0 when every task was cancelled.",
		Example:           "  inner tasks cancel 4711 4712",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeTasks(cmd, args, format, job.Admin.Cancel)
		},
	}
}
