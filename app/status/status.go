// Package status tells operators how the platform fares: modules contribute parts, inner status asks all of them.
package status

import (
	"context"
	"sync"
	"time"

	"go.uber.org/fx"

	"app238.com/inner/app/guard"
)

// Condition is how a part fares.
type Condition string

// The conditions of a part, from the best to the worst.
const (
	// OK says that the part does its work.
	OK Condition = "ok"
	// Degraded says that the part works, but not as it should.
	Degraded Condition = "degraded"
	// Down says that the part does not work, or cannot be asked.
	Down Condition = "down"
)

// Part is a part of the platform that can be asked how it fares. Modules contribute parts through the fx group "status".
type Component struct {
	Name string
	// Look asks the part. It is given a deadline, and may be called in a process that runs nothing of the part itself: it
	// looks at the database, the cluster or an engine. An error means that the part is down.
	Probe func(ctx context.Context) (Report, error)
}

// Report is what a part answers.
type Report struct {
	Condition Condition
	// Text says in a few words how the part fares.
	Text string
	// Facts are what an operator may want to know beyond that, in the order in which they are to be read.
	Details []Detail
}

// Fact is one detail of a Report.
type Detail struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// As makes the fx constructor of a Part one that contributes to the group of parts.
func As(constructor any) any {
	return fx.Annotate(constructor, fx.ResultTags(`group:"status"`))
}

// Answer is the outcome of asking one part.
type ComponentStatus struct {
	Name      string    `json:"name"`
	Condition Condition `json:"condition"`
	Text      string    `json:"text"`
	Details   []Detail  `json:"details,omitempty"`
}

// Overview is how the platform fares.
type PlatformStatus struct {
	// Condition is the worst of the parts' conditions.
	Condition  Condition `json:"condition"`
	Components []ComponentStatus  `json:"components"`
}

// Ask asks all parts at once, each for at most limit, and returns their answers in the order of the parts. Words tells an
// error for operators.
func ProbeAll(ctx context.Context, parts []Component, limit time.Duration, words func(error) string) PlatformStatus {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	overview := PlatformStatus{Condition: OK, Components: make([]ComponentStatus, len(parts))}
	var asking sync.WaitGroup
	for i, part := range parts {
		asking.Go(func() {
			var report Report
			err := guard.Call(func() (err error) {
				report, err = part.Probe(ctx)
				return err
			})
			if err != nil {
				report = Report{Condition: Down, Text: words(err)}
			}
			overview.Components[i] = ComponentStatus{Name: part.Name, Condition: report.Condition, Text: report.Text, Details: report.Details}
		})
	}
	asking.Wait()
	for _, answer := range overview.Components {
		if severity(answer.Condition) > severity(overview.Condition) {
			overview.Condition = answer.Condition
		}
	}
	return overview
}

func severity(c Condition) int {
	switch c {
	case OK:
		return 0
	case Degraded:
		return 1
	case Down:
	}
	return 2
}
