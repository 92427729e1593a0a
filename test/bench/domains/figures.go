package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// figure is one line of output.
type figure struct {
	Figure string  `json:"figure"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Runs   int     `json:"runs"`
	Bar    string  `json:"bar,omitempty"`
	missed bool
}

// figures are what the runs found: seconds, queries and mebibytes.
type figures struct {
	checks, bare, ratios, queries, memory []float64
	// beside are the times of right domains beside silent ones.
	beside []float64
}

func (f *figures) add(check, bare, queries, memory float64) {
	f.checks, f.bare, f.ratios = append(f.checks, check), append(f.bare, bare), append(f.ratios, check/bare)
	f.queries, f.memory = append(f.queries, queries), append(f.memory, memory)
}

// write writes the figures and a table of them, and tells whether a bar was missed.
func (f *figures) write(out io.Writer) (missed bool, err error) {
	all := []figure{
		newFigure("domain-check/time", "s", f.checks),
		newFigure("bare-queries/time", "s", f.bare),
		newFigure("ratio/domain-check:bare-queries", "ratio", f.ratios).bar(median(f.ratios), ratioBar),
		newFigure("domain-check/queries", "queries", f.queries),
		newFigure("domain-check/memory", "MiB", f.memory),
		newFigure("beside-silent-names/verified-after", "s", f.beside).bar(slices.Max(f.beside), besideBar),
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, one := range all {
		if err := encoder.Encode(one); err != nil {
			return false, err
		}
		missed = missed || one.missed
	}
	// What could not be written shows when the table is flushed.
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "\nFIGURE\tVALUE\tUNIT\tRUNS\tBAR\tRESULT")
	for _, one := range all {
		result := ""
		if one.Bar != "" {
			result = "pass"
			if one.missed {
				result = "MISSED"
			}
		}
		_, _ = fmt.Fprintf(table, "%s\t%g\t%s\t%g to %g\t%s\t%s\n", one.Figure, one.Value, one.Unit, one.Min, one.Max, one.Bar, result)
	}
	return missed, table.Flush()
}

func newFigure(name, unit string, values []float64) figure {
	return figure{Figure: name, Value: round(median(values)), Unit: unit, Min: round(slices.Min(values)),
		Max: round(slices.Max(values)), Runs: len(values)}
}

// bar holds a figure to the most that its value may be.
func (f figure) bar(value, most float64) figure {
	f.Bar, f.missed = fmt.Sprintf("<= %g", most), value > most
	return f
}

// median returns the middle value, or the mean of the middle two.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// round keeps three digits after the point.
func round(v float64) float64 { return math.Round(v*1000) / 1000 }
