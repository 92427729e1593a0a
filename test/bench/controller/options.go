package main

import (
	"errors"
	"slices"
	"time"

	"github.com/spf13/pflag"
)

// options says what is measured and how much of it.
type options struct {
	quick   bool
	only    []string
	timeout time.Duration
	profile string

	// runs is how often each party is measured, tries how often for each run at most.
	runs, tries int

	// apps is how many WorkerApps are rolled out at once, standing how many are there at a restart, changes how many
	// images are changed one after the other, failovers how often a leader is killed.
	apps, standing, changes, failovers int
	// objects are the numbers of WorkerApps without pods at which memory and time are measured, in growing order.
	objects []int
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("controller", pflag.ContinueOnError)
	flags.BoolVar(&o.quick, "quick", false, "a short run that judges no bar: 100 WorkerApps, 300 at the restart")
	flags.StringSliceVar(&o.only, "only", nil,
		"scenarios to measure: rollout, restart, failover, objects; the first three unless set")
	flags.IntVar(&o.runs, "runs", 3, "how often the rollout is measured for each party")
	flags.IntVar(&o.tries, "tries", 3,
		"how often a rollout is measured at most where the host takes over 5 % of the processors meanwhile")
	flags.IntVar(&o.apps, "apps", 1000, "WorkerApps that are rolled out at once")
	flags.IntVar(&o.standing, "standing", 5000, "WorkerApps that are there at the restart")
	flags.IntVar(&o.changes, "changes", 200, "images that are changed")
	flags.IntVar(&o.failovers, "failovers", 5, "leaders that are killed")
	flags.IntSliceVar(&o.objects, "objects", []int{5000, 10000, 50000}, "WorkerApps without pods, in growing order")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Hour, "longest time for all of it")
	flags.StringVar(&o.profile, "cpuprofile", "", "file for a CPU profile of Inner in its last rollout")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.quick {
		o.apps, o.standing, o.changes, o.runs, o.tries, o.failovers, o.objects = 100, 300, 30, 1, 1, 1, []int{200, 400}
	}
	if min(o.runs, o.tries, o.apps, o.standing, o.changes, o.failovers) < 1 {
		return o, errors.New("--runs, --tries, --apps, --standing, --changes and --failovers must be at least 1")
	}
	if len(o.objects) == 0 || o.objects[0] < 1 || !slices.IsSorted(o.objects) {
		return o, errors.New("--objects must be numbers of at least 1 in growing order")
	}
	return o, nil
}
