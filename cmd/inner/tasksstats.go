package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"app238.com/inner/modules/tasks/job"
)

func newTasksStats(format *outputFormat) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Count the tasks by lane, type and status",
		Long: "Counts the tasks by lane, type and status, and shows the age of the oldest pending task of each lane. For\n" +
			"each process it shows the claimed tasks, those of them that it runs and that no worker has started, and the\n" +
			"jobs that are still running after they were cancelled.",
		Example: "  inner tasks stats -o json",
		Args:    cobra.NoArgs,
	}
	watched := addWatchFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withAdmin(cmd, func(ctx context.Context, admin job.Admin) error {
			return watched.run(ctx, cmd, func() (func() error, error) {
				stats, err := admin.Stats(ctx)
				return func() error { return format.write(cmd, stats, func(t *table) { statsTable(t, stats) }) }, err
			})
		})
	}
	return cmd
}

func statsTable(t *table, stats job.Stats) {
	t.header("LANE", "TYPE", kept("STATUS"), kept("TASKS"))
	for _, c := range stats.Counts {
		t.row(c.Lane, c.Type, status(c.Status), c.Count)
	}
	if len(stats.Lanes) > 0 {
		t.blank()
		t.header("LANE", "PENDING", "OLDEST PENDING")
		for _, l := range stats.Lanes {
			t.row(l.Lane, l.Pending, age(l.Oldest))
		}
	}
	if len(stats.Processes) > 0 {
		t.blank()
		t.header("PROCESS", "CLAIMED", "RUNNING", "WAITING", "OLDEST WAITING", "OVERRUN")
		for _, p := range stats.Processes {
			t.row(p.Host, p.Claimed, p.Running, p.Waiting, age(p.OldestWaiting), p.Overrun)
		}
	}
}

// age rounds a time in seconds for reading.
func age(seconds float64) time.Duration {
	d := time.Duration(seconds * float64(time.Second))
	if d > time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}
