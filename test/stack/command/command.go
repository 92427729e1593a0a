// Package command runs a command beside servers, which end with it. Both end as well when the process that has
// started this one ends.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Exit statuses of programs that run a command.
const (
	// Failure is for what went wrong before or after the command.
	Failure = 1
	// Usage is for wrong arguments.
	Usage = 2
)

// Servers are what the command runs beside.
type Servers interface {
	// Close ends them.
	Close() error
	// Environment is what tells the command where they are.
	Environment() []string
}

// Run starts the servers, runs the command with their environment to its end, ends the servers and returns the command's
// exit status. Signals are passed on to the command. Name is the program's, for what it says on standard error.
func Run(name string, start func(context.Context) (Servers, error), command []string) (status int) {
	signals, release := Signals()
	defer release()
	status, err := withServers(name, signals, start, command)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		status = max(status, Failure)
	}
	return status
}

// Signals receives what asks a program to end, until release is called.
func Signals() (signals <-chan os.Signal, release func()) {
	received := make(chan os.Signal, 4)
	signal.Notify(received, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	return received, func() { signal.Stop(received) }
}

func withServers(
	name string, signals <-chan os.Signal, start func(context.Context) (Servers, error), command []string,
) (status int, err error) {
	orphaned, stop := WatchParent()
	defer stop()

	begin := time.Now()
	up, err := startUnlessInterrupted(signals, orphaned, start)
	if err != nil {
		return Failure, fmt.Errorf("start the stack: %w", err)
	}
	fmt.Fprintf(os.Stderr, "%s: up after %s\n", name, time.Since(begin).Round(time.Millisecond))
	defer func() {
		if closeErr := up.Close(); closeErr != nil && err == nil {
			err = fmt.Errorf("end the stack: %w", closeErr)
		}
	}()
	return runCommand(signals, orphaned, command, up.Environment())
}

func startUnlessInterrupted(
	signals <-chan os.Signal, orphaned <-chan struct{}, start func(context.Context) (Servers, error),
) (Servers, error) {
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
