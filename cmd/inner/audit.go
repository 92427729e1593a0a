package main

import (
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
		Short: "Show what the last audit counted, or what one would do now",
		Long: "Shows what the latest audit counted. With --dry-run it audits now, changes and records nothing, and prints what an\n" +
			"audit would do and why; the exit status is 1 when something could not be listed. An audit that acts is\n" +
			"inner run-job auth.user_audit.",
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
	return app.Audit(cmd.Context(), c, false, func(ctx context.Context, auditor admin.Admin) error {
		last, err := auditor.Last(ctx)
		if err != nil {
			return err
		}
		return format.write(cmd, last, func(t *table) { totalsTable(t, last) })
	})
}

// collected is the JSON form of a dry run, and a report.Sink that fills it.
type collected struct {
	Audit    admin.Audit     `json:"audit"`
	Findings []admin.Finding `json:"findings"`
	Users    []admin.User    `json:"users"`
}

// User implements report.Sink.
func (c *collected) User(u admin.User) { c.Users = append(c.Users, u) }

// Finding implements report.Sink.
func (c *collected) Finding(f admin.Finding) { c.Findings = append(c.Findings, f) }

func dryRun(cmd *cobra.Command, format *outputFormat) error {
	c, err := config.Load(cmd.Flags())
	if err != nil {
		return err
	}
	return app.Audit(cmd.Context(), c, true, func(ctx context.Context, auditor admin.Admin) error {
		found := &collected{Findings: []admin.Finding{}, Users: []admin.User{}}
		var err error
		if found.Audit, err = auditor.DryRun(ctx, found); err != nil {
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

// incomplete is an error when a kind could not be audited to the end.
func incomplete(a admin.Audit) error {
	faults := 0
	for _, k := range a.Kinds {
		if k.Error != "" {
			faults++
		}
	}
	if faults > 0 {
		return fmt.Errorf("%d of %d kinds could not be audited to the end", faults, len(a.Kinds))
	}
	return nil
}

func usersTable(t *table, users []admin.User) {
	t.row("USER", "WORKERS", "RESOURCES", "DOMAINS")
	for _, u := range users {
		t.row(u.UID, u.Workers, u.Resources, u.Domains)
	}
}

func findingsTable(t *table, findings []admin.Finding) {
	t.row("KIND", "NAME", "USER", "PROBLEM", "ACTION", "WHY")
	for _, f := range findings {
		t.row(f.Kind, f.Name, f.Owner, f.Problem, f.Action, f.Why)
	}
}

func totalsTable(t *table, a admin.Audit) {
	t.row("KIND", "THINGS", "ROWS", "MISSING", "STUCK", "OWNERLESS", "ORPHANS", "REPAIRED", "DELETED", "REMARK")
	for _, k := range a.Kinds {
		remark := k.Error
		if remark == "" {
			remark = k.Refusal
		}
		t.row(k.Kind, k.Objects, k.Rows, k.Missing, k.Stuck, k.Ownerless, k.Orphans, k.Repaired, k.Deleted, remark)
	}
	t.blank()
	t.row("TASK", "MODE", "USERS", "STARTED (UTC)", "ENDED (UTC)", "NOTHING IS DELETED BECAUSE")
	task := any(a.Task)
	if a.Task == 0 {
		task = "dry run"
	}
	t.row(task, a.Mode, a.Users, a.StartedAt, a.FinishedAt, a.Refusal)
}
