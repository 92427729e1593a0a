package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
)

func newRunJob() *cobra.Command {
	var info string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "run-job <type>",
		Short: "Run one job now, in this process, and wait for its result",
		Long: "Accepts a task and runs it in this process when its turn comes, by the same rules as every task: it is recorded,\n" +
			"waits for earlier tasks about the same thing, and may be run by another Inner. The exit status is 0 when the task\n" +
			"finished. A job that waits for the controller (a deploy) ends once a running Inner has recorded the outcome.",
		Example: `  inner run-job worker.deploy_worker --info '{"worker_id":"w1","user_uid":"u1","version_id":1}'`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return app.RunJob(ctx, c, args[0], []byte(info), func(task int64, text string) {
				// Progress that cannot be shown does not stop the job.
				_, _ = fmt.Fprintf(cmd.OutOrStdout(), "task %d: %s\n", task, text)
			})
		},
	}
	cmd.Flags().StringVar(&info, "info", "{}", "payload of the task, a JSON object")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "longest time to wait; the task itself stays in the queue")
	return cmd
}
