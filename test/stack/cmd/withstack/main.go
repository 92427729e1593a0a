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
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"app238.com/inner/test/stack"
	"app238.com/inner/test/stack/controlplane"
)

const (
	exitFailure = 1
	exitUsage   = 2

	// parentPoll is how often withstack looks whether its parent, a `go run` say, still lives.
	parentPoll = 500 * time.Millisecond
)

// servers are what the command runs beside.
type servers interface {
	Close() error
	Environment() []string
}

// starter brings the servers up.
type starter func(ctx context.Context, crds []string) (servers, error)

func main() {
	os.Exit(run(os.Args[1:], startStack))
}

func startStack(ctx context.Context, crds []string) (servers, error) {
	return stack.Start(ctx, stack.Options{ControlPlane: controlplane.Options{CRDs: crds}})
}

func run(arguments []string, start starter) int {
	if len(arguments) == 1 && arguments[0] == guardArgument {
		return guard(os.Stdin, os.Stdout)
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
		return exitUsage
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return exitUsage
	}

	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	status, err := withServers(signals, func(ctx context.Context) (servers, error) {
		return start(ctx, crds)
	}, flags.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "withstack:", err)
		status = max(status, exitFailure)
	}
	return status
}

// withServers starts the servers, runs the command and ends the servers.
func withServers(
	signals <-chan os.Signal, start func(context.Context) (servers, error), command []string,
) (status int, err error) {
	orphaned, stop := watchParent()
	defer stop()

	begin := time.Now()
	up, err := startUnlessInterrupted(signals, orphaned, start)
	if err != nil {
		return exitFailure, fmt.Errorf("start the stack: %w", err)
	}
	fmt.Fprintf(os.Stderr, "withstack: up after %s\n", time.Since(begin).Round(time.Millisecond))
	defer func() {
		if closeErr := up.Close(); closeErr != nil && err == nil {
			err = fmt.Errorf("end the stack: %w", closeErr)
		}
	}()
	return runCommand(signals, orphaned, command, up.Environment())
}

func startUnlessInterrupted(
	signals <-chan os.Signal, orphaned <-chan struct{}, start func(context.Context) (servers, error),
) (servers, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	started, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case s := <-signals:
			cancel(fmt.Errorf("interrupted: %s", s))
		case <-orphaned:
			cancel(errOrphaned)
		case <-started:
		}
	}()
	up, err := start(ctx)
	close(started)
	<-watched
	defer cancel(nil)
	if err == nil && ctx.Err() != nil {
		err = up.Close() // the signal came at the last moment
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, errors.Join(cause, err)
	}
	return up, err
}
