// Command withnode runs another command beside a cluster with a real node, in a sandbox whose network is the node's:
//
//	withnode [--crd file]... -- command [argument]...
//
// The command finds everything by the variables INNER_TEST_REALNODE, INNER_TEST_DSN, INNER_TEST_KUBECONFIG and
// INNER_TEST_CONTROLPLANE_DIR. Its exit status becomes withnode's, and nothing of node or command is left at the end.
// Where the machine does not allow it, withnode says why and runs the command without a node, which then leaves out what
// wants one; with INNER_TEST_REQUIRE_REALNODE set, withnode fails instead.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"app238.com/inner/test/realnode"
	"app238.com/inner/test/realnode/sandbox"
	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/stack/command"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(arguments []string) int {
	if status, mine := command.Guard(arguments); mine {
		return status
	}
	if status, mine := sandbox.Main(arguments); mine {
		return status
	}
	flags := flag.NewFlagSet("withnode", flag.ContinueOnError)
	var crds []string
	flags.Func("crd", "`file` with resource definitions to install; may be given again", func(file string) error {
		crds = append(crds, file)
		return nil
	})
	flags.Usage = func() {
		_, _ = fmt.Fprintln(flags.Output(), "usage: withnode [--crd file]... -- command [argument]...")
		flags.PrintDefaults()
	}
	if err := flags.Parse(arguments); err != nil {
		return command.Usage
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return command.Usage
	}
	if place, inside := sandbox.Inside(); inside {
		return command.Run("withnode", func(ctx context.Context) (command.Servers, error) {
			return realnode.Start(ctx, place, realnode.Options{CRDs: crds})
		}, flags.Args())
	}
	status, err := enter(arguments, flags.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "withnode:", err)
		status = max(status, command.Failure)
	}
	return status
}

// enter makes everything that the sandbox has no network for, and runs this program in one.
func enter(arguments, then []string) (int, error) {
	if err := sandbox.Possible(); err != nil {
		err = fmt.Errorf("no real node on this machine: %w", err)
		if os.Getenv(realnode.EnvRequire) != "" {
			return command.Failure, err
		}
		fmt.Fprintln(os.Stderr, "withnode:", err)
		return command.Failure, without(err, then)
	}
	ctx := context.Background()
	programs, err := build.Node(ctx, build.Options{})
	if err != nil {
		return command.Failure, err
	}
	if _, err := build.ControlPlane(ctx, build.Options{}); err != nil {
		return command.Failure, err
	}
	if _, err := build.Manifests(ctx, build.Options{}); err != nil {
		return command.Failure, err
	}
	if _, err := build.PostgreSQL(ctx, build.Options{}); err != nil {
		return command.Failure, err
	}
	if _, err := build.EarlierRelease(ctx, build.Options{}); err != nil && !errors.Is(err, build.ErrNoHistory) {
		return command.Failure, err
	}
	return sandbox.Run(filepath.Join(programs.Debian, "usr"), arguments)
}

// without replaces this process by the command, which learns why it has no node.
func without(why error, then []string) error {
	path, err := exec.LookPath(then[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, then, append(os.Environ(), realnode.EnvWhyNot+"="+why.Error()))
}
