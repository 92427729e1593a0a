package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/configs"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check the settings, or show them",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newConfigCheck(), newConfigPrint())
	return cmd
}

func newConfigCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Tell whether inner serve would take these settings",
		Long: "Reads the settings as inner serve would and tells every unknown key and every bad value by its key, also variables\n" +
			"INNER_… that are no setting. Connects to nothing. The exit status is 2 when a setting is wrong.",
		Example: `  inner config check --config /etc/inner/inner.yaml
  INNER_TASKS_WORKERS=8 inner config check`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			faults := unknownVariables()
			c, err := config.Load(cmd.Flags())
			if err == nil {
				err = app.CheckConfig(c)
			}
			if err := errors.Join(faults, err); err != nil {
				return usageError{err}
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "the settings are good")
			return err
		},
	}
}

func unknownVariables() error {
	if unknown := config.UnknownVariables(os.Environ()); len(unknown) > 0 {
		return fmt.Errorf("%s: there is no such setting", strings.Join(unknown, ", "))
	}
	return nil
}

func newConfigPrint() *cobra.Command {
	var defaults bool
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print every setting with its meaning and the value in effect",
		Long: "Prints the settings in effect as a documented file of the form that --config takes. Beside a value that is not the\n" +
			"default stands the default. Secrets are masked.",
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
	cmd.Flags().BoolVar(&defaults, "defaults", false, "print the defaults, whatever is set")
	return cmd
}
