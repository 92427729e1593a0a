package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/modules/audit/admin"
)

func newAudit() *cobra.Command {
	var format outputFormat
	var dry bool
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show the counts of the last audit, or do a dry run",
		Long: "Shows the counts of the latest audit. With --dry-run it audits now, changes and records nothing, and lists\n" +
			"each user's resources and the action planned for each finding; the exit status is 1 when a kind could not be\n" +
			"listed. To audit and act, run inner run-job auth.user_audit.",
		Example: "  inner audit\n  inner audit --dry-run -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dry {
				return dryRun(cmd, &format)
			}
			return lastAudit(cmd, &format)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "audit now, without changing anything")
	addOutputFlag(cmd, &format)
	return cmd
}

func lastAudit(cmd *cobra.Command, format *outputFormat) error {
	c, err := config.LoadForDatabase(cmd.Flags())
	if err != nil {
		return err
	}
	return app.WithAdmins(cmd.Context(), c, app.NoCluster, func(ctx context.Context, admins app.Admins) error {
		last, err := admins.Audit.Last(ctx)
		if err != nil {
			return err
		}
		return format.write(cmd, last, func(t *table) { totalsTable(t, last) })
	})
}

// dryRunResult is the JSON form of a dry run, and the admin.Sink that fills it.
type dryRunResult struct {
	Audit    admin.Audit     `json:"audit"`
	Findings []admin.Finding `json:"findings"`
	Users    []admin.User    `json:"users"`
}

// User implements admin.Sink.
func (r *dryRunResult) User(u admin.User) { r.Users = append(r.Users, u) }

// Finding implements admin.Sink.
func (r *dryRunResult) Finding(f admin.Finding) { r.Findings = append(r.Findings, f) }

func dryRun(cmd *cobra.Command, format *outputFormat) error {
	c, err := config.Load(cmd.Flags())
	if err != nil {
		return err
	}
	return app.WithAdmins(cmd.Context(), c, app.RequiredCluster, func(ctx context.Context, admins app.Admins) error {
		found := &dryRunResult{Findings: []admin.Finding{}, Users: []admin.User{}}
		var err error
		if found.Audit, err = admins.Audit.DryRun(ctx, found); err != nil {
			return err
		}
		err = format.write(cmd, found, func(t *table) {
			usersTable(t, found.Users)
			t.blank()
			findingsTable(t, found.Findings)
			t.blank()
			totalsTable(t, found.Audit)
		})
		return errors.Join(err, incomplete(found.Audit))
	})
}

// incomplete returns an error when the audit of a kind failed.
func incomplete(a admin.Audit) error {
	failed := 0
	for _, k := range a.Kinds {
		if k.Error != "" {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("the audit of %d of %d kinds failed", failed, len(a.Kinds))
	}
	return nil
}

func usersTable(t *table, users []admin.User) {
	t.header(kept("USER"), "WORKERS", "RESOURCES", "DOMAINS")
	for _, u := range users {
		t.row(u.UID, u.Workers, u.Resources, u.Domains)
	}
}

func findingsTable(t *table, findings []admin.Finding) {
	t.header("KIND", "NAME", "USER", "PROBLEM", "ACTION", wrapped("REASON"))
	for _, f := range findings {
		t.row(f.Kind, f.Name, f.Owner, f.Problem, f.Action, f.Why)
	}
}

func totalsTable(t *table, a admin.Audit) {
	t.header("KIND", "OBJECTS", "ROWS", "MISSING", "STUCK", "OWNERLESS", "ORPHANS", "REPAIRED", "DELETED")
	for _, k := range a.Kinds {
		t.row(k.Kind, k.Objects, k.Rows, k.Missing, k.Stuck, k.Ownerless, k.Orphans, k.Repaired, k.Deleted)
	}
	t.blank()
	for _, k := range a.Kinds {
		if remark := cmp.Or(k.Error, k.Refusal); remark != "" {
			t.field(k.Kind, remark)
		}
	}
	t.header("TASK", "MODE", "USERS", "STARTED (UTC)", "ENDED (UTC)", wrapped("DELETIONS REFUSED BECAUSE"))
	task := any(a.Task)
	if a.Task == 0 {
		task = "dry run"
	}
	t.row(task, a.Mode, a.Users, a.StartedAt, a.FinishedAt, a.Refusal)
}
