// Command queue measures Inner's task queue beside River, graphile-worker and the bare limit of the database, all on one
// PostgreSQL server of its own. README.md says what is measured and how to read it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	args := os.Args[1:]
	var err error
	if len(args) > 0 && args[0] == replicaCommand {
		err = runReplica(ctx, args[1:], os.Stdin, os.Stdout)
	} else {
		err = run(ctx, args, os.Stdout)
	}
	switch {
	case err == nil:
	case errors.Is(err, errMissed):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(statusMissed)
	default:
		fmt.Fprintln(os.Stderr, "bench-queue:", err)
		os.Exit(statusFailed)
	}
}

// gcPercent is GOGC of Inner's image. River, in the same process, has it too.
const gcPercent = 200

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	debug.SetGCPercent(gcPercent)
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	stopProfile, err := profile(o.cpuProfile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopProfile()) }()

	w, err := newFixture(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	plan := newPlan(o, w)
	results, err := plan.run(ctx)
	if err != nil {
		return err
	}
	if err := results.write(out); err != nil {
		return err
	}
	missed, err := writeRatios(out, results, o)
	if err != nil {
		return err
	}
	if missed && !o.quick {
		return errMissed
	}
	return nil
}

// profile writes a CPU profile of this process, in which the load, Inner and River run, to file until it is stopped.
func profile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("--cpuprofile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("--cpuprofile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// say tells progress on standard error.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}
