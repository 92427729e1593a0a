package main

import (
	"github.com/spf13/cobra"

	"app238.com/inner/app/config"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "inner",
		Short: "Internal control plane of a serverless platform",
		Long: "Inner Gateway is the internal control plane of a serverless platform: it accepts tasks over HTTP, runs them, and\n" +
			"reconciles the workers, databases and domains of the platform's users.\n\n" +
			"Settings are read from the file named by --config or INNER_CONFIG, from variables INNER_… and from flags; later\n" +
			"sources override earlier ones. inner config print describes all settings. A variable INNER_…_FILE names a file with\n" +
			"a secret.\n\n" +
			"Exit statuses: 0 success; 1 failure; 2 usage error (an unknown command, flag or argument, or an invalid setting),\n" +
			"nothing was started; 3 inner status: the platform is degraded. The first SIGINT or SIGTERM shuts the program down\n" +
			"gracefully; the second one ends it at once, with 128 plus the signal's number.",
		Example: `  inner config check --config /etc/inner/inner.yaml
  inner migrate && inner serve
  inner status -o json`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		Version:       version,
	}
	root.SetVersionTemplate(versionLine())
	config.AddFlags(root.PersistentFlags())
	root.AddCommand(newServe(), newRunJob(), newTasks(), newWorkers(), newDomains(), newUsers(), newUsage(), newAudit(), newStatus(),
		newTop(), newConfig(), newMigrate(), newCRD(), newVersion())
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" {
			cmd.Args = isCommand
		}
	}
	markUsageErrors(root)
	return root
}

// isCommand refuses the name of an unknown command, for which cobra's help would exit with 0.
func isCommand(cmd *cobra.Command, args []string) error {
	if found, rest, err := cmd.Root().Find(args); err != nil || len(rest) > 0 {
		return unknownCommand(found, args[len(args)-1])
	}
	return nil
}
