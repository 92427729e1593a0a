// Command withstack runs another command beside a running test stack:
//
//	withstack [--crd file]... -- command [argument]...
//
// The command finds the servers by the variables INNER_TEST_DSN, INNER_TEST_KUBECONFIG, INNER_TEST_PD and
// INNER_TEST_CONTROLPLANE_DIR. Its exit status becomes withstack's, and the stack ends with it. Both end as well when
// the process that has started withstack ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"app238.com/inner/test/stack"
	"app238.com/inner/test/stack/command"
	"app238.com/inner/test/stack/controlplane"
)

// starter brings the servers up.
type starter func(ctx context.Context, crds []string) (command.Servers, error)

func main() {
	os.Exit(run(os.Args[1:], startStack))
}

func startStack(ctx context.Context, crds []string) (command.Servers, error) {
	return stack.Start(ctx, stack.Options{ControlPlane: controlplane.Options{CRDs: crds}})
}

func run(arguments []string, start starter) int {
	if status, mine := command.Guard(arguments); mine {
		return status
	}
	flags := flag.NewFlagSet("withstack", flag.ContinueOnError)
	var crds []string
	flags.Func("crd", "`file` with resource definitions to install; may be given again", func(file string) error {
		crds = append(crds, file)
		return nil
	})
	flags.Usage = func() {
		_, _ = fmt.Fprintln(flags.Output(), "usage: withstack [--crd file]... -- command [argument]...")
		flags.PrintDefaults()
	}
	if err := flags.Parse(arguments); err != nil {
		return command.Usage
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return command.Usage
	}
	return command.Run("withstack", func(ctx context.Context) (command.Servers, error) {
		return start(ctx, crds)
	}, flags.Args())
}
