package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// options says what is measured and for how long.
type options struct {
	quick      bool
	only       []string
	runs       int
	tries      int
	cpuProfile string
	timeout    time.Duration

	// prefill is how many finished tasks lie in each queue's table beforehand: a plan made for an empty table would
	// spoil the figures of whoever keeps it.
	prefill int
	// warmUp, closed and open are how long load is sent.
	warmUp, closed, open time.Duration
	// late is how long an open loop goes on to send what could not be sent in time.
	late time.Duration
	// drain is how long is waited afterwards for what was accepted, at most.
	drain time.Duration
	// backlog is how many tasks a burn-down has, and burn how long it may take.
	backlog int
	burn    time.Duration
	// idle is how long a program that has nothing to do is watched.
	idle time.Duration

	// clean is how long a party is measured before it is disturbed, after how long afterwards.
	clean, after time.Duration
	// held is how long a transaction holds back the vacuum, disturbed how long other pressure lasts, except that of more
	// load: overload and burst.
	held, disturbed, overload, burst time.Duration
	// killEvery is how often a replica is killed.
	killEvery time.Duration
}

func parseOptions(args []string) (options, error) {
	o := options{
		prefill: 20_000, warmUp: 700 * time.Millisecond, closed: 2500 * time.Millisecond, open: 2500 * time.Millisecond,
		late: time.Second, drain: 3 * time.Second, backlog: 100_000, burn: 8 * time.Second,
		idle: time.Minute, clean: 20 * time.Second, after: 20 * time.Second, held: 3 * time.Minute, disturbed: time.Minute,
		overload: 2 * time.Minute, burst: 10 * time.Second, killEvery: 10 * time.Second,
	}
	flags := pflag.NewFlagSet("queue", pflag.ContinueOnError)
	flags.BoolVar(&o.quick, "quick", false, "a smoke test: one short run of few scenarios; missed bars do not fail it")
	flags.StringSliceVar(&o.only, "only", nil, "measure only what has one of these words in its name, like closed-16/inner-http")
	long := flags.Bool("long", false, "hold the transaction of held-xmin for 10 minutes")
	flags.DurationVar(&o.held, "held", o.held, "how long the transaction of held-xmin is held")
	flags.IntVar(&o.runs, "runs", 3, "repetitions of what is in a ratio; the rest is measured in a third of them")
	flags.IntVar(&o.tries, "tries", 4,
		"how often something is measured at most where the host takes over 5 % of the processors meanwhile")
	flags.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile of this process to this file")
	flags.DurationVar(&o.closed, "closed", o.closed, "how long each closed loop sends load")
	flags.DurationVar(&o.open, "open", o.open, "how long each open loop sends load")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Hour, "most time for everything")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.quick {
		o.runs, o.tries, o.prefill, o.backlog = 1, 1, 2_000, 10_000
		o.warmUp, o.closed, o.open = 200*time.Millisecond, 500*time.Millisecond, time.Second
		o.late, o.drain, o.burn, o.idle = 500*time.Millisecond, time.Second, 3*time.Second, 15*time.Second
	}
	if *long {
		o.held = 10 * time.Minute
	}
	if o.quick {
		o.clean, o.after, o.held, o.disturbed = time.Second, time.Second, 3*time.Second, 3*time.Second
		o.overload, o.burst, o.killEvery = 2*time.Second, time.Second, time.Second
	}
	if o.runs < 1 || o.tries < 1 {
		return o, errors.New("--runs and --tries must be at least 1")
	}
	return o, nil
}

// wants tells whether --only lets this be measured.
func (o options) wants(name string) bool {
	for _, word := range o.only {
		if strings.Contains(name, word) {
			return true
		}
	}
	return len(o.only) == 0
}

// wantsOneOf tells whether --only lets any of these parties be measured in any scenario.
func (o options) wantsOneOf(parties []string) bool {
	for _, s := range scenarios {
		for _, name := range parties {
			if o.wants(s.name + "/" + name) {
				return true
			}
		}
	}
	return false
}
