package main

import (
	"github.com/spf13/cobra"

	"app238.com/inner/app/config"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "inner",
		Short: "Internal control plane of a serverless platform",
		Long: "Inner Gateway, the internal control plane of a serverless platform: it accepts tasks over HTTP, runs them, and keeps\n" +
			"the workers, databases and domains of the platform's users as they should be.\n\n" +
			"Settings come from the file named by --config, from variables INNER_… and from flags, the later before the earlier;\n" +
			"inner config print shows all of them with their meaning. A secret may be read from the file that a variable\n" +
			"INNER_…_FILE names.\n\n" +
			"Exit statuses: 0 done; 1 failed; 2 called wrongly (an unknown command, flag, argument or setting), nothing was begun;\n" +
			"3 from inner status: something is not as it should be.",
		Example: `  inner config check --config /etc/inner/inner.yaml
  inner migrate && inner serve
  inner status -o json`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	config.AddFlags(root.PersistentFlags())
	root.AddCommand(newServe(), newRunJob(), newTasks(), newDomains(), newUsage(), newAudit(), newStatus(), newConfig(), newMigrate(),
		newCRD(), newReference(), newVersion())
	markUsageErrors(root)
	return root
}
