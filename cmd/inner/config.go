package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/configs"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check or print the settings",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newConfigCheck(), newConfigPrint())
	return cmd
}

func newConfigCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check whether inner serve would accept the settings",
		Long: "Reads the settings as inner serve does and reports every unknown key, every invalid value, and variables\n" +
			"INNER_… that are no settings, all at once. Connects to nothing. The exit status is 2 when a setting is invalid.",
		Example: `  inner config check --config /etc/inner/inner.yaml
  INNER_TASKS_WORKERS=8 inner config check`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(cmd.Flags())
			errs := append(config.UnknownVariables(os.Environ()), err)
			if c != nil {
				errs = append(errs, app.CheckConfig(c))
			}
			if err := errors.Join(errs...); err != nil {
				return usageError{err}
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "the settings are valid")
			return err
		},
	}
}

func newConfigPrint() *cobra.Command {
	var defaults bool
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print every setting with its description and the value in effect",
		Long: "Prints the settings in effect as a documented file that --config reads. A changed value has its default in a\n" +
			"comment. Secrets are masked.",
		Example: `  inner config print --config /etc/inner/inner.yaml
  inner config print --defaults > inner.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			document := configs.Defaults
			if !defaults {
				c, err := config.LoadForDatabase(cmd.Flags())
				if err != nil {
					return err
				}
				if document, err = c.Document(); err != nil {
					return err
				}
			}
			_, err := cmd.OutOrStdout().Write(document)
			return err
		},
	}
	cmd.Flags().BoolVar(&defaults, "defaults", false, "print the defaults, ignoring all settings")
	return cmd
}
