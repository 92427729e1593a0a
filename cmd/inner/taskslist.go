package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"app238.com/inner/app/nearest"
	"app238.com/inner/modules/tasks/job"
)

func newTasksList(format *outputFormat) *cobra.Command {
	var filter job.Filter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tasks, the running ones first, then the newest",
		Long: "Lists tasks: those that a worker runs, then those that a process has claimed, then the others, each the newest\n" +
			"first. Which tasks run is known as of the last heartbeat of each process.",
		Example: `  inner tasks list --status error --since 2h
  inner tasks list --worker 1x2y3z4a --watch
  inner tasks list --type worker.deploy_worker --limit 20 --before 4711`,
		Args: cobra.NoArgs,
	}
	addTaskFilterFlags(cmd, &filter)
	flags := cmd.Flags()
	flags.StringVar(&filter.Key, "key", "", "only tasks with this ordering key")
	flags.IntVar(&filter.Limit, "limit", 50, fmt.Sprintf("maximum number of tasks, up to %d", job.MaxPage))
	flags.Int64Var(&filter.Before, "before", 0, "only tasks with a lower id: the next page")
	watched := addWatchFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := filter.Validate(); err != nil {
			return usageError{fmt.Errorf("--%w", err)}
		}
		return withAdmin(cmd, func(ctx context.Context, admin job.Admin) error {
			return watched.run(ctx, cmd, func() (func() error, error) {
				page, err := admin.List(ctx, filter)
				if len(page.Tasks) == 0 && err == nil && !watched.enabled && format.isTable() {
					printNoMatch(cmd, admin, filter)
				}
				return func() error { return writeTasks(cmd, format, page) }, err
			})
		})
	}
	return cmd
}

func writeTasks(cmd *cobra.Command, format *outputFormat, page job.Page) error {
	if err := format.write(cmd, page, func(t *table) { taskRows(t, page.Tasks) }); err != nil {
		return err
	}
	if page.Next != 0 && format.isTable() {
		cmd.PrintErrf("more tasks: --before %d\n", page.Next)
	}
	return nil
}

// printNoMatch says that a filter matches no task, and suggests the nearest job type to an unknown one. Tasks of another version
// may have such a type, so it is no error.
func printNoMatch(cmd *cobra.Command, admin job.Admin, f job.Filter) {
	text := "no task matches"
	var known []string
	for _, spec := range admin.Types() {
		known = append(append(known, spec.Type), spec.Aliases...)
	}
	if f.Type != "" && !slices.Contains(known, f.Type) {
		text += fmt.Sprintf(": %s is no job type of this version%s", printable(f.Type), nearest.Hint(f.Type, known))
	}
	cmd.PrintErrln(text)
}

// addTaskFilterFlags defines the flags that select tasks.
func addTaskFilterFlags(cmd *cobra.Command, filter *job.Filter) {
	flags := cmd.Flags()
	flags.StringVar(&filter.Status, "status", "", "only tasks in this state")
	flags.StringVar(&filter.Type, "type", "", "only tasks of this job type or alias")
	flags.StringVar(&filter.User, "user", "", "only tasks about this user (uid) and what it has")
	flags.StringVar(&filter.Worker, "worker", "", "only tasks about this worker (wid)")
	flags.Var(&moment{&filter.Since}, "since",
		"only tasks accepted since then: an age like 90m or 2d, or a time like 2026-01-31 or 2026-01-31T15:04:05Z")
	flags.Var(&moment{&filter.Until}, "until", "only tasks accepted before then")
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(job.FilterStatuses(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("type", completeJobTypes)
}

// moment is a flag with a time, in UTC unless it has a zone, or with an age.
type moment struct{ *job.Moment }

// String implements pflag.Value.
func (m *moment) String() string {
	switch {
	case m.Moment == nil || *m.Moment == job.Moment{}:
		return ""
	case m.Age != 0:
		return m.Age.String()
	}
	return m.At.Format(time.RFC3339)
}

// Type implements pflag.Value.
func (m *moment) Type() string { return "time" }

// Set implements pflag.Value.
func (m *moment) Set(text string) error {
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			*m.Moment = job.Moment{At: at.UTC()}
			return nil
		}
	}
	age, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		var n int
		n, err = strconv.Atoi(days)
		age = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || age <= 0 {
		return errors.New("must be an age like 90m or 2d, or a time like 2026-01-31 or 2026-01-31T15:04:05Z")
	}
	*m.Moment = job.Moment{Age: age}
	return nil
}

func taskRows(t *table, tasks []job.Summary) {
	t.header(kept("TASK"), "TYPE", kept("STATUS"), kept("TRIES"), kept("AGE"), wide("LANE"), "KEY", wide("ACCEPTED (UTC)"),
		wide("STARTED (UTC)"), wide("ENDED (UTC)"), "DETAILS")
	for _, task := range tasks {
		t.row(task.ID, task.Type, status(task.State()), task.Attempts, ago(task.CreatedAt), task.Lane, task.OrderingKey, task.CreatedAt,
			task.StartedAt, task.FinishedAt, task.Detail)
	}
}
