// Command domains measures one domain.check over thousands of custom domains whose name servers are slow, beside the bare limit:
// the same number of queries to the same servers, as many at a time, with nothing done in between. Then it measures after what
// time other users' right domains are verified beside as many names of one user whose name servers never answer.
//
// It runs the real program (inner run-job domain.check, inner serve) on a PostgreSQL server of its own, and writes one JSON line
// for each figure and then a table. Its exit status is 1 when a bar is missed, 2 when it could not measure.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// Exit statuses.
const (
	statusMissed = 1
	statusFailed = 2
)

const (
	// ratioBar is the most that a check may take, measured in the bare limit's time.
	ratioBar = 1.3
	// besideBar is the most that it may take until any right domain is verified beside silent ones, in seconds.
	besideBar = 5
)

var errMissed = errors.New("a bar was missed")

// options says what is measured.
type options struct {
	domains int
	runs    int
	queries int
	delay   time.Duration
	quick   bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil:
	case errors.Is(err, errMissed):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(statusMissed)
	default:
		fmt.Fprintln(os.Stderr, "bench-domains:", err)
		os.Exit(statusFailed)
	}
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("domains", pflag.ContinueOnError)
	flags.IntVar(&o.domains, "domains", 10_000, "custom domains")
	flags.IntVar(&o.runs, "runs", 3, "repetitions")
	flags.IntVar(&o.queries, "queries", 128, "concurrent queries (domains.dns.queries)")
	flags.DurationVar(&o.delay, "delay", 100*time.Millisecond, "how late every answer is")
	flags.BoolVar(&o.quick, "quick", false, "a smoke test: 1,000 domains, once; a missed bar does not fail it")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		o.domains, o.runs = 1000, 1
	}
	if o.domains < 1 || o.runs < 1 || o.queries < 1 {
		return o, errors.New("--domains, --runs and --queries must be at least 1")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	w, err := newFixture(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	var f figures
	for n := range o.runs {
		if err := w.measure(ctx, &f); err != nil {
			return err
		}
		say("run %d of %d: %s beside a bare %s", n+1, o.runs, seconds(f.checks[n]), seconds(f.bare[n]))
	}
	if err := w.beside(ctx, &f); err != nil {
		return err
	}
	missed, err := f.write(out)
	if err != nil {
		return err
	}
	if missed && !o.quick {
		return errMissed
	}
	return nil
}

// say tells progress on standard error.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(10 * time.Millisecond)
}
