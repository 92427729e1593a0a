package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/modules/tasks/job"
)

func newTasks() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tasks",
		Short: "Show the task queue, and retry or cancel tasks",
		Long:  "Shows and changes the task queue. These commands need the database only, neither the cluster nor a running Inner.",
		Args:  cobra.NoArgs,
	}
	var format outputFormat
	addOutputFlag(cmd, &format)
	cmd.AddCommand(newTasksList(&format), newTasksShow(&format), newTasksRetry(&format), newTasksCancel(&format),
		newTasksStats(&format))
	return cmd
}

// withAdmin calls use with the admin of the configured database's queue.
func withAdmin(cmd *cobra.Command, use func(context.Context, job.Admin) error) error {
	c, err := config.LoadForDatabase(cmd.Flags())
	if err != nil {
		return err
	}
	return app.WithAdmins(cmd.Context(), c, app.NoCluster, func(ctx context.Context, admins app.Admins) error {
		return use(ctx, admins.Tasks)
	})
}

// taskIDs parses the ids of tasks; an invalid one is a usage error.
func taskIDs(args []string) ([]int64, error) {
	ids := make([]int64, len(args))
	for i, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id < 1 {
			return nil, usageError{fmt.Errorf("%q is not the id of a task", arg)}
		}
		ids[i] = id
	}
	return ids, nil
}
