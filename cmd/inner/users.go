package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	combinatoradmin "app238.com/inner/modules/combinator/admin"
	domainsadmin "app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/tasks/job"
	workersadmin "app238.com/inner/modules/workers/admin"
)

func newUsers() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "users",
		Short: "Show what a user has",
		Args:  cobra.NoArgs,
	}
	var format outputFormat
	addOutputFlag(cmd, &format)
	cmd.AddCommand(newUsersShow(&format))
	return cmd
}

func newUsersShow(format *outputFormat) *cobra.Command {
	return &cobra.Command{
		Use:   "show UID",
		Short: "Show everything that a user has, what is wrong first",
		Long: "Shows what is wrong with the workers, resources, domains and tasks of the user with this uid, then lists them. It\n" +
			"needs the database; pods are counted if the cluster answers.",
		Example:           "  inner users show 0a1b2c3d",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmins(cmd, app.OptionalCluster, func(ctx context.Context, admins app.Admins) error {
				user, err := readUser(ctx, admins, args[0])
				if err != nil {
					return err
				}
				return format.write(cmd, user, func(t *table) { userTable(t, user) })
			})
		},
	}
}

// maxUserTasks is the number of tasks of a user in its view.
const maxUserTasks = 10

// userDetails is the JSON form of a user.
type userDetails struct {
	// Problems are what is wrong.
	Problems []string `json:"problems"`
	combinatoradmin.User
	Workers []workersadmin.Worker `json:"workers"`
	Domains []domainsadmin.Domain `json:"domains"`
	// WorkersNext and DomainsNext are where `inner workers list` and `inner domains list` go on, as --before; 0 if all are here.
	WorkersNext int64 `json:"workers_next_before,omitempty"`
	DomainsNext int64 `json:"domains_next_before,omitempty"`
	// Tasks are the newest tasks of the user, of the newest job.RecentTasks tasks.
	Tasks []job.Summary `json:"tasks"`
}

func readUser(ctx context.Context, admins app.Admins, uid string) (userDetails, error) {
	user, err := admins.Combinator.User(ctx, uid)
	if err != nil {
		return userDetails{}, err
	}
	d := userDetails{User: user, Problems: []string{}}
	workers, err := admins.Workers.List(ctx, workersadmin.Filter{User: uid, Limit: workersadmin.MaxPage})
	if err != nil {
		return d, err
	}
	domains, err := admins.Domains.List(ctx, domainsadmin.Filter{User: uid, Limit: domainsadmin.MaxPage})
	if err != nil {
		return d, err
	}
	tasks, err := admins.Tasks.List(ctx, job.Filter{User: uid, Limit: maxUserTasks, Among: job.RecentTasks})
	if err != nil {
		d.Problems = append(d.Problems, "the tasks could not be read: "+app.UserMessage(err))
	}
	d.Workers, d.Domains, d.Tasks = workers.Workers, domains.Domains, append([]job.Summary{}, tasks.Tasks...)
	d.WorkersNext, d.DomainsNext = workers.Next, domains.Next
	if workers.ClusterError != "" {
		d.Problems = append(d.Problems, "the cluster could not be read: "+workers.ClusterError)
	}
	d.Problems = append(d.Problems, userProblems(d)...)
	return d, nil
}

func userProblems(d userDetails) (all []string) {
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, w := range d.Workers {
		if w.Status == "error" || w.Message != "" {
			add("worker %s is %s: %s", w.WorkerID, w.Status, w.Message)
		}
	}
	for _, r := range d.Resources {
		if r.Status == "error" || r.Message != "" {
			add("%s %s is %s: %s", r.Type, r.ResourceID, r.Status, r.Message)
		}
	}
	for _, domain := range d.Domains {
		if domain.State == "failing" || domain.State == "error" || domain.State == "refused" {
			add("domain %s is %s: %s", domain.Domain, domain.State, domain.Detail)
		}
	}
	for _, task := range d.Tasks {
		if task.Status == "error" {
			add("task %d (%s) was discarded: %s", task.ID, task.Type, task.Detail)
		}
	}
	return all
}

func userTable(t *table, d userDetails) {
	problemFields(t, d.Problems)
	t.field("User", d.UID)
	t.field("Email", d.Email)
	t.field("Age", ago(d.CreatedAt))
	t.field("Has", fmt.Sprintf("%s, %d resources, %s", atLeast(len(d.Workers), "workers", d.WorkersNext), len(d.Resources),
		atLeast(len(d.Domains), "domains", d.DomainsNext)))
	if d.WorkersNext != 0 {
		t.field("More workers", fmt.Sprintf("inner workers list --user %s --before %d", d.UID, d.WorkersNext))
	}
	if d.DomainsNext != 0 {
		t.field("More domains", fmt.Sprintf("inner domains list --user %s --before %d", d.UID, d.DomainsNext))
	}
	if len(d.Workers) > 0 {
		t.blank()
		workersTable(t, d.Workers)
	}
	if len(d.Resources) > 0 {
		t.blank()
		t.header(kept("RESOURCE"), kept("TYPE"), kept("STATUS"), "SIZE (BYTES)", kept("AGE"), "MESSAGE")
		for _, r := range d.Resources {
			size := "-"
			if r.Bytes != nil {
				size = fmt.Sprint(*r.Bytes)
			}
			t.row(r.ResourceID, r.Type, status(r.Status), size, ago(r.CreatedAt), r.Message)
		}
	}
	if len(d.Domains) > 0 {
		t.blank()
		domainsTable(t, d.Domains)
	}
	if len(d.Tasks) > 0 {
		t.blank()
		taskRows(t, d.Tasks)
	}
}

// atLeast is a number of things, of which there are more if next is set.
func atLeast(count int, things string, next int64) string {
	if next != 0 {
		return fmt.Sprintf("more than %d %s", count, things)
	}
	return fmt.Sprintf("%d %s", count, things)
}
