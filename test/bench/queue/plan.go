package main

import (
	"context"
	"fmt"
	"time"

	"app238.com/inner/test/bench/steal"
)

// cell is one party in one scenario.
type cell struct {
	name    string
	runs    int
	measure func(ctx context.Context) (sample, error)
}

// plan is the cells by scenario.
type plan struct {
	runs int
	// tries is how often a cell is measured at most where the host takes part of the processors meanwhile.
	tries     int
	scenarios [][]cell
}

// quickly names the cells of a smoke test beside those of the bars.
var quickly = map[string]bool{
	"closed-16/inner-in-process": true, "closed-16/graphile-batched-4": true, "burn-down/inner-claimed": true,
}

// newPlan puts every party into the scenarios that it can be in.
func newPlan(o options, w *fixture) plan {
	p := plan{runs: o.runs, tries: o.tries}
	compared, inRatio := map[string]bool{}, map[string]bool{}
	for _, r := range ratios {
		compared[r.over], compared[r.under] = true, true
		if r.bar() != "" {
			inRatio[r.over], inRatio[r.under] = true, true
		}
	}
	for _, s := range scenarios {
		var cells []cell
		for _, party := range w.parties() {
			measure := party.in(s)
			name := s.name + "/" + party.name()
			if measure == nil || !o.wants(name) || (o.quick && !inRatio[name] && !quickly[name]) {
				continue
			}
			c := cell{name: name, runs: o.runs, measure: measure}
			switch {
			case s.long:
				c.runs = 1
			case !compared[name]:
				c.runs = (o.runs + 2) / 3
			}
			cells = append(cells, c)
		}
		p.scenarios = append(p.scenarios, cells)
	}
	return p
}

// party is a queue with its settings, or the bare database.
type party interface {
	name() string
	// in returns how the party is measured in a scenario, or nil where it has no part.
	in(s scenario) func(ctx context.Context) (sample, error)
}

// scenario is a kind of load.
type scenario struct {
	name string
	// producers of a closed loop, each of which waits for its acknowledgement; or else
	producers int
	// rate of an open loop in tasks a second, regardless of acknowledgements; or else a backlog is burnt down.
	rate int
	// idle says that there is nothing to do.
	idle bool
	// long says that one measurement takes minutes and compares two parts of itself: it is made once.
	long bool
}

// isLoop tells whether producers send tasks.
func (s scenario) isLoop() bool { return s.producers > 0 || s.rate > 0 }

var scenarios = []scenario{
	{name: "closed-1", producers: 1},
	{name: "closed-16", producers: 16},
	{name: "closed-64", producers: 64},
	{name: "open-500", rate: 500},
	{name: "open-5000", rate: 5000},
	{name: burnDown},
	{name: "idle", idle: true},
	{name: oneReplica}, {name: twoReplicas}, {name: fourReplicas}, {name: oneWaits}, {name: twoWait}, {name: fourWait},
	{name: replicaIsBusy}, {name: blockedKeys},
	{name: overloaded, long: true}, {name: shortBurst, long: true}, {name: connections, long: true},
	{name: killed, long: true}, {name: replicaChurn, long: true}, {name: readersOnce, long: true},
	{name: readersTwice, long: true}, {name: heldBurnDown, long: true}, {name: heldOneKey, long: true},
	{name: heldTakeover, long: true}, {name: heldOnce, long: true}, {name: heldTwice, long: true},
}

const burnDown = "burn-down"

// run measures every cell once in each run. The parties of a scenario follow one another at once, each time in another
// order, so that noise of the machine hits all of them.
func (p plan) run(ctx context.Context) (*results, error) {
	var names []string
	for _, cells := range p.scenarios {
		for _, c := range cells {
			names = append(names, c.name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("--only: nothing is called so")
	}
	res := newResults(names)
	for run := range p.runs {
		for _, cells := range p.scenarios {
			for i := range cells {
				c := cells[(i+run*len(cells)/p.runs)%len(cells)]
				if run >= c.runs {
					continue
				}
				s, err := p.quietest(ctx, fmt.Sprintf("run %d of %d", run+1, p.runs), c)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
				res.add(c.name, s)
			}
		}
	}
	return res, nil
}

// quietest measures a cell, again where the host took part of the processors, and returns the sample during which it took
// least.
func (p plan) quietest(ctx context.Context, run string, c cell) (sample, error) {
	begin := time.Now()
	return steal.Quietest(p.tries, func() (sample, error) { return c.measure(ctx) }, func(try int, s sample, share float64) {
		s[taken] = 100 * share
		say("%s, try %d: %-32s %s (%.1f s)", run, try, c.name, s, time.Since(begin).Seconds())
		begin = time.Now()
	})
}

// String shows a sample on one line.
func (s sample) String() string {
	text := ""
	for _, m := range metrics {
		if v, ok := s[m.name]; ok {
			text += fmt.Sprintf(" %s=%.5g", m.name, round(v))
		}
	}
	return text
}
