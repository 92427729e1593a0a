package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/modules/domains/admin"
)

func newDomains() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "domains",
		Short: "List custom domains, or check them now",
		Long: "Lists and checks custom domains. These commands need the database and, for checks, the DNS; they need no cluster " +
			"and\nno running Inner.",
		Args: cobra.NoArgs,
	}
	var format outputFormat
	addOutputFlag(cmd, &format)
	cmd.AddCommand(newDomainsList(&format), newDomainsCheck(&format))
	return cmd
}

func newDomainsList(format *outputFormat) *cobra.Command {
	var filter admin.Filter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List custom domains, the newest first",
		Example: `  inner domains list --state failing
  inner domains list --user u1 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := filter.Validate(); err != nil {
				return usageError{fmt.Errorf("--%w", err)}
			}
			c, err := config.LoadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			return app.Domains(cmd.Context(), c, func(ctx context.Context, domains admin.Admin) error {
				page, err := domains.List(ctx, filter)
				if err != nil {
					return err
				}
				if err := format.write(cmd, page, func(t *table) { domainsTable(t, page.Domains) }); err != nil {
					return err
				}
				if page.Next != 0 && *format == tableFormat {
					cmd.PrintErrf("more domains: --before %d\n", page.Next)
				}
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.State, "state", "", "only domains in this state")
	flags.StringVar(&filter.User, "user", "", "only domains of this user (uid)")
	flags.IntVar(&filter.Limit, "limit", 50, fmt.Sprintf("maximum number of domains, up to %d", admin.MaxPage))
	flags.Int64Var(&filter.Before, "before", 0, "only domains with a lower row id: the next page")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(admin.States(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func newDomainsCheck(format *outputFormat) *cobra.Command {
	return &cobra.Command{
		Use:   "check <domain or cdid>...",
		Short: "Check custom domains now",
		Long: "Checks the DNS records of each domain now and records the result, as every check does: a valid domain becomes\n" +
			"verified, for an invalid one a failure is counted. The exit status is 1 unless all of them are valid.",
		Example: "  inner domains check www.example.com",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Which targets are allowed depends on the platform's domain, so all settings are required.
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			return app.Domains(cmd.Context(), c, func(ctx context.Context, domains admin.Admin) error {
				return checkDomains(ctx, cmd, format, domains, args)
			})
		},
	}
}

func checkDomains(ctx context.Context, cmd *cobra.Command, format *outputFormat, domains admin.Admin, names []string) error {
	page := admin.Page{Domains: []admin.Domain{}}
	var failures []error
	for _, name := range names {
		d, err := domains.Check(ctx, name)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		page.Domains = append(page.Domains, d)
		if d.Answer != "right" {
			failures = append(failures, fmt.Errorf("%s: %s: %s", d.Domain, d.Answer, printable(d.Detail)))
		}
	}
	return errors.Join(format.write(cmd, page, func(t *table) { domainsTable(t, page.Domains) }), errors.Join(failures...))
}

func domainsTable(t *table, domains []admin.Domain) {
	t.row("CDID", "DOMAIN", "USER", plain("STATUS"), "STATE", "CERTIFICATE", "FAILURES", "CHECKED (UTC)", "NEXT (UTC)",
		"LAST RESULT")
	for _, d := range domains {
		t.row(d.CDID, d.Domain, d.UserUID, status(d.Status), d.State, shorten(d.Certificate, detailWidth/2), d.Failures, d.CheckedAt,
			d.NextCheckAt, shorten(d.Detail, detailWidth))
	}
}
