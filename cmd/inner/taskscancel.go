package main

import (
	"github.com/spf13/cobra"

	"app238.com/inner/modules/tasks/job"
)

func newTasksCancel(format *outputFormat) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel ID...",
		Short: "Cancel pending or waiting tasks",
		Long: "Cancels pending or waiting tasks. A task that is being processed is not interrupted. The row of the task's\n" +
			"version or resource gets the reason as its message; a rollout that has begun goes on, and its outcome is\n" +
			"still recorded. The exit status is 0 when every task was cancelled.",
		Example:           "  inner tasks cancel 4711 4712",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeTasks(cmd, args, format, job.Admin.Cancel)
		},
	}
}
