package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

// sample is what one run of one cell found: values by the name of their metric.
type sample map[string]float64

// The metrics, in the order of output.
const (
	// completed counts the tasks whose end is committed, each second.
	completed = "completed"
	// offered counts the accept calls that were answered, each second.
	offered = "accepted"
	// ackMedian and ackTail are the time until a task is acknowledged: committed.
	ackMedian, ackTail = "ack-p50", "ack-p99"
	// startMedian and startTail are the time from accept called to job function entered.
	startMedian, startTail = "call-to-start-p50", "call-to-start-p99"
	// first is the time from the start of a party until it runs the first task of a backlog.
	first = "first-task-after"
	// taken is the share of the processors that the machine's host gave to others meanwhile.
	taken = "taken-by-host"
	// afterFirst is completed, measured from the first task of a backlog on.
	afterFirst = "completed-after-first"
	// wal is what the database writes to its log for each completed task.
	wal = "wal"
	// statements counts what a program that has nothing to do sends to the database each second, and processor is the share of
	// one processor that it uses.
	statements, processor = "statements", "processor"
)

// The metrics under pressure.
const (
	// offeredRate is what is sent each second, refusals what is refused of it, refusalTail the time until a refusal.
	offeredRate, refusals, refusalTail = "offered", "refused", "refusal-p99"
	// undisturbed is completed before the pressure, and kept the share of it that is completed in the last third of the pressure
	// (a burn-down: in the last one), earlier in the first two thirds, recovered afterwards.
	undisturbed, kept, earlier, recovered = "completed-undisturbed", "kept", "kept-earlier", "recovered"
	// back is the time from the end of an overload until latencies are as before it.
	back = "back-to-normal-after"
	// evenness is the share of the replica that ran the fewest tasks, of what each would run if all ran the same.
	evenness = "least-busy-replica"
	// roundCount is how many burn-downs took place under the pressure.
	roundCount = "rounds"
)

var metrics = []struct{ name, unit string }{
	{completed, "tasks/s"}, {afterFirst, "tasks/s"}, {offered, "tasks/s"},
	{ackMedian, "ms"}, {ackTail, "ms"}, {startMedian, "ms"}, {startTail, "ms"}, {first, "ms"}, {wal, "bytes/task"}, {statements, "1/s"},
	{processor, "%"}, {offeredRate, "tasks/s"}, {refusals, "1/s"}, {refusalTail, "ms"}, {undisturbed, "tasks/s"}, {kept, "ratio"},
	{earlier, "ratio"}, {recovered, "ratio"}, {back, "s"}, {evenness, "ratio"}, {roundCount, ""}, {taken, "%"},
}

// figure is one line of output.
type figure struct {
	Figure string  `json:"figure"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Runs   int     `json:"runs"`
	Bar    string  `json:"bar,omitempty"`
}

// results are the samples of every cell, one for each run, under the names of the cells.
type results struct {
	names   []string
	samples map[string][]sample
}

// newResults takes the names in the order of output.
func newResults(names []string) *results {
	return &results{names: names, samples: map[string][]sample{}}
}

func (r *results) add(name string, s sample) { r.samples[name] = append(r.samples[name], s) }

// values returns what the runs found for one metric of a cell.
func (r *results) values(name, metric string) []float64 {
	var out []float64
	for _, s := range r.samples[name] {
		if v, ok := s[metric]; ok {
			out = append(out, v)
		}
	}
	return out
}

// write writes a line of JSON for every figure.
func (r *results) write(out io.Writer) error {
	for _, name := range r.names {
		for _, m := range metrics {
			values := r.values(name, m.name)
			if len(values) == 0 {
				continue
			}
			if err := writeFigure(out, newFigure(name+"/"+m.name, m.unit, median(values), values, "")); err != nil {
				return err
			}
		}
	}
	return nil
}

func newFigure(name, unit string, value float64, values []float64, bar string) figure {
	return figure{
		Figure: name, Value: round(value), Unit: unit, Min: round(slices.Min(values)), Max: round(slices.Max(values)),
		Runs: len(values), Bar: bar,
	}
}

func writeFigure(out io.Writer, f figure) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(f); err != nil {
		return fmt.Errorf("%s: %w", f.Figure, err)
	}
	return nil
}

// median returns the middle value, or the mean of the middle two; 0 without any.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// round keeps four digits, and all of those before the point.
func round(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	scale := math.Pow(10, math.Max(0, 3-math.Floor(math.Log10(math.Abs(v)))))
	return math.Round(v*scale) / scale
}
