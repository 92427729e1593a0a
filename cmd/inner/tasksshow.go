package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"app238.com/inner/modules/tasks/job"
)

func newTasksShow(format *outputFormat) *cobra.Command {
	return &cobra.Command{
		Use:               "show ID",
		Short:             "Show one task with the errors of its attempts",
		Long:              "Shows one task with the stored errors of its attempts, and its payload unless it may contain secrets.",
		Example:           "  inner tasks show 4711",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := taskIDs(args)
			if err != nil {
				return err
			}
			return withAdmin(cmd, func(ctx context.Context, admin job.Admin) error {
				task, err := admin.Show(ctx, ids[0])
				if err != nil {
					return err
				}
				return format.write(cmd, task, func(t *table) { showTable(t, task) })
			})
		},
	}
}

func showTable(t *table, task job.Details) {
	info := string(task.Info)
	if task.Info == nil {
		info = "(may contain secrets, not shown)"
	}
	claimed := task.ClaimedBy
	if task.ClaimedOn != "" {
		claimed += " on " + task.ClaimedOn
	}
	for _, line := range []struct {
		name  string
		value any
	}{
		{"Task", task.ID},
		{"Type", task.Type},
		{"Status", status(task.State())},
		{"Details", task.Detail},
		{"Last error", task.LastError},
		{"Attempts", task.Attempts},
		{"Lane", task.Lane},
		{"Ordering key", task.OrderingKey},
		{"Accepted (UTC)", task.CreatedAt},
		{"Not before (UTC)", task.RunAt},
		{"Started (UTC)", task.StartedAt},
		{"Ended (UTC)", task.FinishedAt},
		{"Run by", claimed},
		{"Claims", task.ClaimNumber},
		{"Takeovers", task.Takeovers},
		{"Resumed", task.Resumed},
		{"Idempotency key", task.IdempotencyKey},
		{"Payload", info},
	} {
		t.field(line.name, line.value)
	}
	for _, e := range task.Errors {
		t.field("Error", fmt.Sprintf("attempt %d, %s: %s", e.Attempt, e.At, e.Error))
	}
}
