// Command withcockroach runs a command whose INNER_TEST_DSN leads to the same PostgreSQL by way of a server that plays a
// CockroachDB: what a test suite does there, and which of its tests leave themselves out.
//
//	withstack -- withcockroach -- go test ./modules/tasks/...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"app238.com/inner/test/cockroach/server"
)

const variable = "INNER_TEST_DSN"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(max(1, exit.ExitCode()))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "withcockroach:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	behind := os.Getenv(variable)
	if len(args) == 0 || behind == "" {
		return fmt.Errorf("usage: %s=<DSN of a PostgreSQL> withcockroach -- command", variable)
	}
	s, err := server.Start(ctx, behind)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	dsn, err := s.DSN(behind)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Env = append(os.Environ(), variable+"="+dsn)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	return command.Run()
}
