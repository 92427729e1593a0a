package main

import (
	"github.com/spf13/cobra"

	"app238.com/inner/app/config"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "inner",
		Short:         "Internal control plane of a serverless platform",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	config.AddFlags(root.PersistentFlags())
	root.AddCommand(newServe(), newRunJob(), newTasks(), newDomains(), newUsage(), newAudit(), newMigrate(), newCRD(), newVersion())
	return root
}
