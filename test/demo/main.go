// Command demo shows Inner Gateway at work: it starts it beside a database and a cluster, private ones unless it is
// given others, plays the Outer Gateway once, and shows how a worker comes to run. `make run` starts it.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/pflag"

	"app238.com/inner/app/logging"
	"app238.com/inner/test/realnode"
)

const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(arguments []string) int {
	life := newLifetime(os.Stdout)
	defer life.stop()
	screen := newScreen(os.Stdout, life.end)

	root, err := findClone(life.work)
	if err != nil {
		return fail(screen, err)
	}
	opts, err := parse(life.work, root, arguments)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fail(screen, err)
		return exitUsage
	}
	if opts.real && os.Getenv(realnode.EnvDir) == "" {
		if err := enterNode(life.forced, root, arguments); err != nil {
			return fail(screen, err)
		}
		return 0
	}
	if err := newDemo(opts, screen).run(life.work, life.forced); err != nil {
		return fail(screen, err)
	}
	return 0
}

func fail(s *screen, err error) int {
	s.line("")
	s.line("%s %s", s.paint(bad, "failed:"), logging.Redact(err.Error()))
	return exitFailure
}

// until calls check every interval until it returns nil; when ctx ends, its error is what check said last.
func until(ctx context.Context, interval time.Duration, check func(context.Context) error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		last := check(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), last)
		case <-ticker.C:
		}
	}
}
