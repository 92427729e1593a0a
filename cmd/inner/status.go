package main

import (
	"errors"
	"net/url"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	platform "app238.com/inner/app/status"
)

func newStatus() *cobra.Command {
	var format outputFormat
	var urls []string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the health of every component",
		Long: "Shows the health of every component, read from the database, the cluster and the engines, and whether the running\n" +
			"Inner Gateways named by --url are ready. Changes nothing. The exit status is 3 when the platform is degraded.",
		Example: `  inner status
  inner status --url http://10.0.0.7:9901 --url http://10.0.0.8:9901 -o yaml
  kubectl -n console exec deploy/inner-gateway -- /inner status`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, address := range urls {
				if u, err := url.Parse(address); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
					return usageError{errors.New("--url: must be an http:// or https:// URL")}
				}
			}
			c, err := config.LoadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("url") {
				urls = []string{app.LocalURL(c)}
			}
			report, err := app.Status(cmd.Context(), c, urls)
			if err != nil {
				return err
			}
			if err := format.write(cmd, report, func(t *table) { statusTable(t, report) }); err != nil {
				return err
			}
			if report.Condition != platform.OK {
				return errDegraded
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&urls, "url", nil,
		"URL of a running Inner Gateway, repeatable (default: http.listen on this machine)")
	addOutputFlag(cmd, &format)
	return cmd
}

func statusTable(t *table, report platform.PlatformStatus) {
	t.header(kept("COMPONENT"), kept("CONDITION"), wrapped("DETAILS"))
	for _, component := range report.Components {
		t.row(component.Name, status(component.Condition), component.Text)
		for _, detail := range component.Details {
			t.row("  "+detail.Name, " ", detail.Value)
		}
	}
}
