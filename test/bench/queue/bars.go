package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// ratio compares one metric of two cells, or is the metric of one where there is no other.
type ratio struct {
	what, over, under, metric string
	// least and most are the bar; 0: none.
	least, most float64
	// optional says that a party may be missing on this machine.
	optional bool
}

// outcome tells whether a bar was met.
type outcome string

const (
	passed  outcome = "pass"
	missed  outcome = "MISSED"
	noBar   outcome = ""
	notDone outcome = "not measured"
)

// ratios are the bars of the benchmark, and some comparisons without one.
var ratios = []ratio{
	{what: "throughput, 16 producers: HTTP to River tuned, 4 workers", metric: completed,
		over: "closed-16/inner-http", under: "closed-16/river-tuned-4", least: 8},
	{what: "throughput, 16 producers: HTTP to River tuned, 100 workers", metric: completed,
		over: "closed-16/inner-http", under: "closed-16/river-tuned-100", least: 2.5},
	{what: "throughput, 16 producers: HTTP to bare INSERT, 16 connections", metric: completed,
		over: "closed-16/inner-http", under: "closed-16/bare-insert", least: 0.55},
	{what: "throughput, 64 producers: HTTP to bare INSERT, 16 connections", metric: completed,
		over: "closed-64/inner-http", under: "closed-16/bare-insert", least: 0.85},
	{what: "500 a second, median call to start: HTTP to River tuned, 4 workers", metric: startMedian,
		over: "open-500/inner-http", under: "open-500/river-tuned-4", most: 0.28},
	{what: "500 a second, median acknowledgement: HTTP to River's insert", metric: ackMedian,
		over: "open-500/inner-http", under: "open-500/river-tuned-4", most: 1.5},
	{what: "burn-down of a dead process's backlog: 4 workers to River tuned, 2,000", metric: completed,
		over: "burn-down/inner", under: "burn-down/river-tuned-2000", least: 1.3},
	{what: "throughput, 16 producers: a million finished and 100,000 pending tasks to an empty table", metric: completed,
		over: "closed-16/inner-http-crowded", under: "closed-16/inner-http", least: 1 / 1.5},
	{what: "claims and ends: of 100,000 beside a million finished to 5,000 on an empty table", metric: afterFirst,
		over: "burn-down/inner-crowded", under: "burn-down/inner-few", least: 1 / 1.5},
	{what: "statements a second of a program that has nothing to do", metric: statements, over: "idle/inner", most: 2},
	{what: "kept while a transaction holds back the vacuum, at River's rate", metric: kept,
		over: heldOnce + "/inner-http", least: 0.95},
	{what: "kept while a transaction holds back the vacuum, at twice River's rate", metric: kept,
		over: heldTwice + "/inner-http", least: 0.95},
	{what: "the same: HTTP to River tuned, 100 workers", metric: kept,
		over: heldOnce + "/inner-http", under: heldOnce + "/river-tuned-100"},
	{what: "the same at twice the rate: HTTP to River tuned, 100 workers", metric: kept,
		over: heldTwice + "/inner-http", under: heldTwice + "/river-tuned-100"},
	{what: "burn-downs of 100,000 under a held transaction", metric: kept, over: heldBurnDown + "/inner-http", least: 0.8},
	{what: "the same: 4 workers to River tuned, 100", metric: kept,
		over: heldBurnDown + "/inner-http", under: heldBurnDown + "/river-tuned-100"},
	{what: "10,000 tasks of one key under a held transaction", metric: kept, over: heldOneKey + "/inner-http", least: 0.8},
	{what: "takeovers of a dead process's 100,000 under a held transaction", metric: kept,
		over: heldTakeover + "/inner-http", least: 0.8},
	{what: "kept beside four readers of the table, at River's rate", metric: kept, over: readersOnce + "/inner-http", least: 0.9},
	{what: "kept beside four readers of the table, at twice River's rate", metric: kept,
		over: readersTwice + "/inner-http", least: 0.9},
	{what: "the same: HTTP to River tuned, 100 workers", metric: kept,
		over: readersOnce + "/inner-http", under: readersOnce + "/river-tuned-100"},
	{what: "the same at twice the rate: HTTP to River tuned, 100 workers", metric: kept,
		over: readersTwice + "/inner-http", under: readersTwice + "/river-tuned-100"},
	{what: "seconds until latencies are normal after two minutes of 1.5 times the load", metric: back,
		over: overloaded + "/inner-http", most: 5},
	{what: "seconds until latencies are normal after ten seconds of 10 times the load", metric: back,
		over: shortBurst + "/inner-http", most: 5},
	{what: "kept beside 300 idle connections", metric: kept, over: connections + "/inner-http", least: 0.95},
	{what: "after a minute in which ten connections a second were ended", metric: recovered,
		over: killed + "/inner-http", least: 0.95},
	{what: "the same: HTTP to River tuned, 100 workers", metric: recovered,
		over: killed + "/inner-http", under: killed + "/river-tuned-100"},
	{what: "after a minute in which a replica was killed every 10 s", metric: recovered,
		over: replicaChurn + "/inner-http", least: 0.95},
	{what: "beside 100,000 tasks of keys whose first task runs for minutes", metric: kept,
		over: blockedKeys + "/inner-http", least: 0.9},
	{what: "two replicas to one", metric: completed,
		over: twoReplicas + "/inner-http", under: oneReplica + "/inner-http", least: 1},
	{what: "four replicas to one", metric: completed,
		over: fourReplicas + "/inner-http", under: oneReplica + "/inner-http", least: 1},
	{what: "the least busy of two replicas to an even share", metric: evenness, over: twoReplicas + "/inner-http", least: 0.8},
	{what: "the least busy of four replicas to an even share", metric: evenness, over: fourReplicas + "/inner-http", least: 0.8},
	{what: "jobs that wait 10 ms: two replicas to one", metric: completed,
		over: twoWait + "/inner-http", under: oneWaits + "/inner-http", least: 1.9},
	{what: "jobs that wait 10 ms: four replicas to one", metric: completed,
		over: fourWait + "/inner-http", under: oneWaits + "/inner-http", least: 3.6},
	{what: "jobs that wait 10 ms: the least busy of four replicas to an even share", metric: evenness,
		over: fourWait + "/inner-http", least: 0.8},
	{what: "milliseconds from call to start, accepted by a busy replica beside an idle one", metric: startTail,
		over: replicaIsBusy + "/inner-http", most: 1000},
	{what: "burn-down of a single ordering key: 10,000 tasks to 500", metric: afterFirst,
		over: "burn-down/inner-one-key", under: "burn-down/inner-one-key-few", least: 0.85},
	{what: "throughput, 16 producers: in process to HTTP", metric: completed,
		over: "closed-16/inner-in-process", under: "closed-16/inner-http", most: 1.8},
	{what: "throughput, 16 producers: HTTP to graphile-worker batched, 4", metric: completed,
		over: "closed-16/inner-http", under: "closed-16/graphile-batched-4"},
	{what: "throughput, 16 producers: HTTP to graphile-worker's best", metric: completed,
		over: "closed-16/inner-http", under: "closed-16/graphile-batched-24"},
	{what: "500 a second, median call to start: HTTP to graphile-worker, 4", metric: startMedian,
		over: "open-500/inner-http", under: "open-500/graphile-default-4"},
	{what: "burn-down: 4 workers to graphile-worker's best", metric: completed,
		over: "burn-down/inner", under: "burn-down/graphile-batched-24", least: 0.9, optional: true},
	{what: "burn-down, all claimed by the dead process: from the first task on, to River tuned, 2,000", metric: afterFirst,
		over: "burn-down/inner-claimed", under: "burn-down/river-tuned-2000"},
}

// figure returns the name in the output.
func (r ratio) figure() string {
	if r.under == "" {
		return "ratio/" + r.over + "/" + r.metric
	}
	return "ratio/" + r.over + ":" + r.under + "/" + r.metric
}

// bar returns the bar in words, or "".
func (r ratio) bar() string {
	switch {
	case r.least > 0:
		return fmt.Sprintf(">= %.3g", r.least)
	case r.most > 0:
		return fmt.Sprintf("<= %.3g", r.most)
	}
	return ""
}

// of returns the ratio of the medians and those of the single runs; ok is false where one of the two was not measured.
func (r ratio) of(res *results) (value float64, runs []float64, ok bool) {
	over, under := res.values(r.over, r.metric), res.values(r.under, r.metric)
	if r.under == "" {
		return median(over), over, len(over) > 0
	}
	if median(under) == 0 || len(over) == 0 {
		return 0, nil, false
	}
	value = median(over) / median(under)
	for i := range min(len(over), len(under)) {
		if under[i] != 0 {
			runs = append(runs, over[i]/under[i])
		}
	}
	if len(runs) == 0 {
		runs = []float64{value}
	}
	return value, runs, true
}

func (r ratio) compare(value float64) outcome {
	switch {
	case r.least > 0 && value < r.least, r.most > 0 && value > r.most:
		return missed
	case r.least > 0 || r.most > 0:
		return passed
	}
	return noBar
}

// writeRatios writes a line of JSON for every ratio, then their table, and tells whether a bar was missed. A bar that
// could not be compared counts as missed, unless --only left it out.
func writeRatios(out io.Writer, res *results, o options) (anyMissed bool, err error) {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	rows := [][5]string{{"RATIO", "VALUE", "RUNS", "BAR", "RESULT"}}
	for _, r := range ratios {
		value, runs, ok := r.of(res)
		if !ok {
			rows = append(rows, [5]string{r.what, "-", "-", r.bar(), string(notDone)})
			anyMissed = anyMissed || (r.bar() != "" && !r.optional && len(o.only) == 0)
			continue
		}
		f := newFigure(r.figure(), "ratio", value, runs, r.bar())
		if err := writeFigure(out, f); err != nil {
			return false, err
		}
		v := r.compare(value)
		anyMissed = anyMissed || v == missed
		rows = append(rows, [5]string{
			r.what, fmt.Sprintf("%.3g", value), fmt.Sprintf("%.3g to %.3g", f.Min, f.Max), r.bar(), string(v),
		})
	}
	fmt.Fprintln(table)
	for _, row := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", row[0], row[1], row[2], row[3], row[4])
	}
	return anyMissed, table.Flush()
}
