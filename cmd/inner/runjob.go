package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
)

func newRunJob() *cobra.Command {
	var run app.Run
	var info string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "run-job <type>",
		Short: "Run one job in this process and wait for its result",
		Long: "Accepts a task, or takes the pending or waiting one named by --task, and runs it in this process by the\n" +
			"rules of every task: it is stored, waits for earlier tasks with the same ordering key, and may be run by\n" +
			"another Inner. The exit status is 0 when the task finished. After the timeout, and on an interrupt, the task\n" +
			"stays in the queue. A job that waits for the controller (a deploy) ends once a running Inner has recorded\n" +
			"the outcome.",
		Example: `  inner run-job worker.deploy_worker --info '{"worker_id":"w1","user_uid":"u1","version_id":1}'
  inner run-job worker.deploy_worker --task 4711`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeJobTypes,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				run.Type = args[0]
			}
			existing := cmd.Flags().Changed("task")
			if err := checkRun(run, existing, timeout); err != nil {
				return usageError{err}
			}
			if !existing {
				run.Info = []byte(info)
			}
			return runJob(cmd, run, timeout)
		},
	}
	cmd.Flags().StringVar(&info, "info", "{}", "payload of a new task, a JSON object")
	cmd.Flags().Int64Var(&run.Task, "task", 0, "id of a pending or waiting task to run instead of a new one")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "longest time to wait; after it the task stays in the queue")
	cmd.MarkFlagsMutuallyExclusive("info", "task")
	return cmd
}

// checkRun returns why a call is invalid.
func checkRun(run app.Run, existing bool, timeout time.Duration) error {
	switch {
	case run.Type == "" && !existing:
		return errors.New("a job type is required, or --task")
	case existing && run.Task < 1:
		return errors.New("--task: must be the id of a task")
	case timeout <= 0:
		return errors.New("--timeout: must be more than 0")
	}
	return app.CheckJobType(run.Type)
}

func runJob(cmd *cobra.Command, run app.Run, timeout time.Duration) error {
	c, err := config.Load(cmd.Flags())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
	defer cancel()
	begin := time.Now()
	return app.RunJob(ctx, c, run, func(task int64, text string) {
		// A failed write does not stop the job.
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%6.1fs  task %d: %s\n", time.Since(begin).Seconds(), task, printable(text))
	})
}

// completeJobTypes completes the first argument, or the value of a flag, with job types and aliases.
func completeJobTypes(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if cmd.Name() == "run-job" && len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	types, err := app.JobTypes()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var all []cobra.Completion
	offer := func(name, description string) {
		if strings.HasPrefix(name, prefix) {
			all = append(all, cobra.CompletionWithDesc(name, description))
		}
	}
	for _, t := range types {
		offer(t.Type, "job type")
		for _, alias := range t.Aliases {
			offer(alias, "alias of "+t.Type)
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}
