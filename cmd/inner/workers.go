package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/modules/workers/admin"
)

func newWorkers() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workers",
		Short: "List workers, or show everything about one",
		Long: "Shows workers. These commands need the database, and no running Inner; what the cluster has is shown if it\n" +
			"answers.",
		Args: cobra.NoArgs,
	}
	var format outputFormat
	addOutputFlag(cmd, &format)
	cmd.AddCommand(newWorkersList(&format), newWorkersShow(&format))
	return cmd
}

func newWorkersList(format *outputFormat) *cobra.Command {
	var filter admin.Filter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List workers, the newest first",
		Example: `  inner workers list --failing
  inner workers list --user u1 -o wide`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.User, "user", "", "only workers of this user (uid)")
	flags.StringVar(&filter.Status, "status", "", "only workers in this state")
	flags.BoolVar(&filter.Failing, "failing", false, "only workers in error, or whose newest or active version has failed")
	flags.IntVar(&filter.Limit, "limit", 50, fmt.Sprintf("maximum number of workers, up to %d", admin.MaxPage))
	flags.Int64Var(&filter.Before, "before", 0, "only workers with a lower row id: the next page")
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(admin.Statuses(), cobra.ShellCompDirectiveNoFileComp))
	watched := addWatchFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := filter.Validate(); err != nil {
			return usageError{fmt.Errorf("--%w", err)}
		}
		return withAdmins(cmd, app.OptionalCluster, func(ctx context.Context, admins app.Admins) error {
			return watched.run(ctx, cmd, func() (func() error, error) {
				page, err := admins.Workers.List(ctx, filter)
				return func() error { return writeWorkers(cmd, format, page) }, err
			})
		})
	}
	return cmd
}

func writeWorkers(cmd *cobra.Command, format *outputFormat, page admin.Page) error {
	if err := format.write(cmd, page, func(t *table) { workersTable(t, page.Workers) }); err != nil {
		return err
	}
	if page.Next != 0 && format.isTable() {
		cmd.PrintErrf("more workers: --before %d\n", page.Next)
	}
	if page.ClusterError != "" && format.isTable() {
		cmd.PrintErrf("pods are not counted: %s\n", printable(page.ClusterError))
	}
	return nil
}

// withAdmins calls use with the admins of the configured platform.
func withAdmins(cmd *cobra.Command, need app.Cluster, use func(context.Context, app.Admins) error) error {
	c, err := config.LoadForDatabase(cmd.Flags())
	if err != nil {
		return err
	}
	return app.WithAdmins(cmd.Context(), c, need, use)
}

func newWorkersShow(format *outputFormat) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show everything about a worker, what is wrong first",
		Long: "Shows what is wrong with the worker with this id (workers.wid), then its row, versions, WorkerApp, pods, route,\n" +
			"tasks and events. A table has the newest of each; -o wide, json and yaml have more.",
		Example: "  inner workers show 1x2y3z4a\n" +
			"  kubectl -n console exec deploy/inner-gateway -- /inner workers show 1x2y3z4a",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	watched := addWatchFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withAdmins(cmd, app.OptionalCluster, func(ctx context.Context, admins app.Admins) error {
			return watched.run(ctx, cmd, func() (func() error, error) {
				worker, err := admins.Workers.Show(ctx, args[0])
				return func() error { return format.write(cmd, worker, func(t *table) { workerTable(t, worker) }) }, err
			})
		})
	}
	return cmd
}

func workersTable(t *table, workers []admin.Worker) {
	t.header(kept("WORKER"), "USER", kept("STATUS"), kept("READY"), "SIZE", kept("AGE"), wide("NAME"), wide("VERSION"),
		wide("IMAGE"), wide("REGION"), wide("CREATED (UTC)"), "MESSAGE")
	for _, w := range workers {
		version, image := any("-"), "-"
		if w.Newest != nil {
			version, image = w.Newest.ID, w.Newest.Image
		}
		t.row(w.WorkerID, w.UserUID, status(w.Status), readyOf(w), fmt.Sprintf("%s/%s/%s", w.CPU, w.Memory, w.Disk),
			ago(w.CreatedAt), w.Name, version, image, w.Region, w.CreatedAt, w.Message)
	}
}

// readyOf writes how many of the pods that a worker may have are ready.
func readyOf(w admin.Worker) string {
	if w.Ready == nil {
		return fmt.Sprintf("-/%d", w.Replicas)
	}
	return fmt.Sprintf("%d/%d", *w.Ready, w.Replicas)
}

// problemFields writes what is wrong.
func problemFields(t *table, problems []string) {
	if len(problems) == 0 {
		t.field("Problems", status("none"))
	}
	for _, p := range problems {
		t.field("Problem", p)
	}
	t.blank()
}

func workerTable(t *table, d admin.Details) {
	problemFields(t, d.Problems)
	t.field("Worker", strings.TrimSpace(d.WorkerID+"  "+d.Name))
	t.field("User", d.UserUID)
	t.field("Status", status(d.Status))
	size := fmt.Sprintf("%s CPU, %s memory, %s disk, up to %d pods", d.CPU, d.Memory, d.Disk, d.Replicas)
	if d.Region != "" {
		size += ", region " + d.Region
	}
	t.field("Size", size)
	t.field("Age", ago(d.CreatedAt))
	clusterFields(t, d)
	if len(d.Versions) > 0 {
		t.blank()
		t.header(kept("VERSION"), kept("STATUS"), kept("PORT"), kept("AGE"), "IMAGE", "MESSAGE")
		for _, v := range firstOf(t, d.Versions, 3) {
			version := fmt.Sprint(v.ID)
			if v.ID == d.ActiveVersion {
				version += " (active)"
			}
			t.row(version, status(v.Status), v.Port, ago(v.CreatedAt), v.Image, v.Message)
		}
	}
	if len(d.Pods) > 0 {
		t.blank()
		t.header("POD", "STATUS", kept("READY"), kept("RESTARTS"), kept("AGE"), "NODE", wide("REASON"))
		for _, p := range firstOf(t, d.Pods, 5) {
			t.row(p.Name, p.Status, yes(p.Ready), p.Restarts, ago(p.CreatedAt), p.Node, p.Reason)
		}
	}
	if len(d.Tasks) > 0 {
		t.blank()
		taskRows(t, firstOf(t, d.Tasks, 5))
	}
	if len(d.Events) > 0 {
		t.blank()
		t.header(kept("LAST"), kept("COUNT"), kept("REASON"), kept("OF"), wide("NAME"), "EVENT")
		for _, e := range firstOf(t, d.Events, 5) {
			kind, name, _ := strings.Cut(e.Object, "/")
			t.row(ago(e.LastAt), e.Count, e.Reason, kind, name, e.Message)
		}
	}
}

// clusterFields writes the WorkerApp, and the way of a request to the pods.
func clusterFields(t *table, d admin.Details) {
	if d.ClusterError != "" {
		return
	}
	if d.App == nil {
		t.field("WorkerApp", "none")
		return
	}
	parts := []string{fmt.Sprintf("%s is %s, version %d, task %d", d.App.Name, d.App.Phase, d.App.Version, d.App.Task)}
	if !d.App.Observed {
		parts = append(parts, "not observed")
	}
	if !d.App.Recorded {
		parts = append(parts, "outcome not recorded yet")
	}
	t.field("WorkerApp", strings.Join(parts, ", "))
	pods := "no Deployment"
	if d.Deployment != nil {
		pods = fmt.Sprintf("%d of %d pods ready, %d of the present template",
			d.Deployment.Ready, d.Deployment.Desired, d.Deployment.Updated)
	}
	if len(d.Route.Hosts) == 0 {
		t.field("Route", "none; "+pods)
		return
	}
	t.field("Hosts", strings.Join(d.Route.Hosts, " "))
	t.field("Route", fmt.Sprintf("%s → %s → %s", d.Route.External, d.Route.Target, pods))
}

// firstOf returns the rows that a screen has room for, and all of them with -o wide.
func firstOf[T any](t *table, all []T, n int) []T {
	if t.wide {
		return all
	}
	return all[:min(n, len(all))]
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
