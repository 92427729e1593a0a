package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// figure is one line of output. Value is the median of the runs unless the name says otherwise.
type figure struct {
	Figure string  `json:"figure"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Runs   int     `json:"runs"`
	Bar    string  `json:"bar,omitempty"`
}

// series are the values of one figure; most, where barred, is the most that its median may be.
type series struct {
	name, unit string
	values     []float64
	most       float64
	barred     bool
}

// results are the figures in the order in which they were found first.
type results struct {
	order []*series
	named map[string]*series
}

func newResults() *results { return &results{named: map[string]*series{}} }

// add adds one run's value of a figure.
func (r *results) add(name, unit string, value float64) *series {
	s, ok := r.named[name]
	if !ok {
		s = &series{name: name, unit: unit}
		r.named[name] = s
		r.order = append(r.order, s)
	}
	s.values = append(s.values, value)
	return s
}

// join adds what others are.
func (r *results) join(others *results) {
	for _, s := range others.order {
		for _, value := range s.values {
			r.add(s.name, s.unit, value)
		}
		if s.barred {
			r.named[s.name].atMost(s.most)
		}
	}
}

// atMost sets the bar.
func (s *series) atMost(most float64) { s.most, s.barred = most, true }

func (s *series) figure() figure {
	f := figure{
		Figure: s.name, Value: round(quantile(s.values, 0.5)), Unit: s.unit,
		Min: round(slices.Min(s.values)), Max: round(slices.Max(s.values)), Runs: len(s.values),
	}
	if s.barred {
		f.Bar = fmt.Sprintf("<= %g", s.most)
	}
	return f
}

func (s *series) result() string {
	switch {
	case !s.barred:
		return ""
	case quantile(s.values, 0.5) > s.most:
		return "MISSED"
	}
	return "pass"
}

// write writes a line of JSON for every figure, then their table, and tells whether a bar was missed.
func (r *results) write(out io.Writer) (missed bool, err error) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, s := range r.order {
		if err := encoder.Encode(s.figure()); err != nil {
			return false, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	lines := []string{"", "FIGURE\tVALUE\tUNIT\tRUNS\tBAR\tRESULT"}
	for _, s := range r.order {
		f := s.figure()
		lines = append(lines, fmt.Sprintf("%s\t%g\t%s\t%g to %g\t%s\t%s", f.Figure, f.Value, f.Unit, f.Min, f.Max, f.Bar, s.result()))
		missed = missed || s.result() == "MISSED"
	}
	if _, err := io.WriteString(table, strings.Join(lines, "\n")+"\n"); err != nil {
		return false, err
	}
	return missed, table.Flush()
}

// quantile returns the value below which that share of the values lies; between two it is their mean by distance.
func quantile(values []float64, share float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	place := share * float64(len(sorted)-1)
	below := int(math.Floor(place))
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (sorted[above]-sorted[below])*(place-float64(below))
}

// round keeps four digits, and all of those before the point.
func round(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	scale := math.Pow(10, math.Max(0, 3-math.Floor(math.Log10(math.Abs(v)))))
	return math.Round(v*scale) / scale
}
