package main

import (
	"fmt"

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
			"3 from inner status: something is not as it should be. An interrupt or SIGTERM ends what is under way in order; the second\n" +
			"one ends the program at once, with 128 and the signal's number.",
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

// isCommand refuses what is no command's name, which cobra's help answers as a success.
func isCommand(cmd *cobra.Command, args []string) error {
	if found, rest, err := cmd.Root().Find(args); err != nil || len(rest) > 0 {
		return fmt.Errorf("unknown command %q for %q", args[len(args)-1], found.CommandPath())
	}
	return nil
}
