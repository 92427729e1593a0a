// Command controller measures Inner's controller on a real control plane with simulated nodes. README.md says what is
// measured and how to read it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// Exit statuses.
const (
	statusMissed = 1
	statusFailed = 2
)

// errMissed says that a bar was missed.
var errMissed = errors.New("a bar was missed")

func main() {
	err := run(os.Args[1:])
	switch {
	case err == nil:
	case errors.Is(err, errMissed):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(statusMissed)
	default:
		fmt.Fprintln(os.Stderr, "bench-controller:", err)
		os.Exit(statusFailed)
	}
}

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) > 0 && args[0] == replicaCommand {
		return runReplica(ctx, args[1:])
	}
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	found := newResults()
	failed := measure(ctx, o, found)
	missed, err := found.write(os.Stdout) // what was measured before a failure too
	if err := errors.Join(failed, err); err != nil {
		return err
	}
	if missed && !o.quick {
		return errMissed
	}
	return nil
}

// measure measures the wanted scenarios until one fails.
func measure(ctx context.Context, o options, found *results) error {
	for _, s := range scenarios() {
		if wanted := slices.Contains(o.only, s.name) || len(o.only) == 0 && !s.onDemand; !wanted {
			continue
		}
		if err := s.measure(ctx, o, found); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// scenario is what needs one setting of the scene.
type scenario struct {
	name    string
	measure func(context.Context, options, *results) error
	// onDemand scenarios take long and run only where they are named.
	onDemand bool
}

func scenarios() []scenario {
	return []scenario{
		{name: "rollout", measure: measureRollout}, {name: "restart", measure: measureRestart},
		{name: "failover", measure: measureFailover}, {name: "objects", measure: measureObjects, onDemand: true},
	}
}

// say tells progress on standard error.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}
