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
		Short: "List and show custom domains, or check them now",
		Long: "Lists, shows and checks custom domains. These commands need the database and, for checks, the DNS; they need no\n" +
			"running Inner, and show what the cluster has if it answers.",
		Args: cobra.NoArgs,
	}
	var format outputFormat
	addOutputFlag(cmd, &format)
	cmd.AddCommand(newDomainsList(&format), newDomainsShow(&format), newDomainsCheck(&format))
	return cmd
}

func newDomainsList(format *outputFormat) *cobra.Command {
	var filter admin.Filter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List custom domains, the newest first",
		Example: `  inner domains list --failing
  inner domains list --user u1 -o json`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.State, "state", "", "only domains in this state")
	flags.StringVar(&filter.User, "user", "", "only domains of this user (uid)")
	flags.BoolVar(&filter.Failing, "failing", false, "only domains in the states failing, error and refused")
	flags.IntVar(&filter.Limit, "limit", 50, fmt.Sprintf("maximum number of domains, up to %d", admin.MaxPage))
	flags.Int64Var(&filter.Before, "before", 0, "only domains with a lower row id: the next page")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(admin.States(), cobra.ShellCompDirectiveNoFileComp))
	watched := addWatchFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := filter.Validate(); err != nil {
			return usageError{fmt.Errorf("--%w", err)}
		}
		return withAdmins(cmd, app.NoCluster, func(ctx context.Context, admins app.Admins) error {
			return watched.run(ctx, cmd, func() (func() error, error) {
				page, err := admins.Domains.List(ctx, filter)
				return func() error { return writeDomains(cmd, format, page) }, err
			})
		})
	}
	return cmd
}

func writeDomains(cmd *cobra.Command, format *outputFormat, page admin.Page) error {
	if err := format.write(cmd, page, func(t *table) { domainsTable(t, page.Domains) }); err != nil {
		return err
	}
	if page.Next != 0 && format.isTable() {
		cmd.PrintErrf("more domains: --before %d\n", page.Next)
	}
	return nil
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
			return app.WithAdmins(cmd.Context(), c, app.NoCluster, func(ctx context.Context, admins app.Admins) error {
				return checkDomains(ctx, cmd, format, admins.Domains, args)
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
			failures = append(failures, fmt.Errorf("%s: %s: %s", printable(d.Domain), d.Answer, printable(d.Detail)))
		}
	}
	return errors.Join(format.write(cmd, page, func(t *table) { domainsTable(t, page.Domains) }), errors.Join(failures...))
}

func domainsTable(t *table, domains []admin.Domain) {
	t.header(kept("CDID"), kept("DOMAIN"), "USER", wide("STATUS"), kept("STATE"), wide("CERTIFICATE"), kept("FAILURES"),
		kept("CHECKED"), wide("NEXT (UTC)"), "LAST RESULT")
	for _, d := range domains {
		t.row(d.CDID, d.Domain, d.UserUID, status(d.Status), status(d.State), d.Certificate, d.Failures, agoPointer(d.CheckedAt),
			d.NextCheckAt, d.Detail)
	}
}

func newDomainsShow(format *outputFormat) *cobra.Command {
	return &cobra.Command{
		Use:   "show <domain or cdid>",
		Short: "Show everything about a custom domain, what is wrong first",
		Long: "Shows what is wrong with a domain, the DNS records that it needs, its checks, and its objects in the cluster, if\n" +
			"that answers. It changes nothing; inner domains check checks the domain.",
		Example:           "  inner domains show www.example.com",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAdmins(cmd, app.OptionalCluster, func(ctx context.Context, admins app.Admins) error {
				domain, err := admins.Domains.Show(ctx, args[0])
				if err != nil {
					return err
				}
				return format.write(cmd, domain, func(t *table) { domainTable(t, domain) })
			})
		},
	}
}

func domainTable(t *table, d admin.Details) {
	problemFields(t, d.Problems)
	t.field("Domain", d.Domain.Domain+"  "+d.CDID)
	t.field("User", d.UserUID)
	t.field("State", status(d.State))
	t.field("Status", status(d.Status))
	t.field("Needs record", fmt.Sprintf("%s TXT %q", d.TXTName, d.TXTValue))
	t.field("And record", fmt.Sprintf("%s CNAME %s, or its addresses", d.Domain.Domain, d.Target))
	t.field("Checked", fmt.Sprintf("%s ago, %d scheduled checks, %d failures in a row",
		agoPointer(d.CheckedAt), d.Checks, d.Failures))
	t.field("Last result", d.Detail)
	t.field("Failing since (UTC)", d.FailingSince)
	t.field("Next check (UTC)", d.NextCheckAt)
	t.field("Age", ago(d.CreatedAt))
	if !d.Served {
		t.field("Objects", "none, since it is not served")
	}
	for _, o := range d.Objects {
		t.field(o.Kind, o.Name+" is "+o.State)
	}
}
