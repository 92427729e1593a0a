// Package status provides the components of `inner status` for the engines.
package status

import (
	"context"
	"fmt"
	"strings"

	"app238.com/inner/app/status"
	"app238.com/inner/modules/combinator/internal/engine"
)

// probed is what both engines implement.
type probed interface {
	Configured() bool
	Ready(ctx context.Context) error
}

// NewRDB returns the component of the RDB engine.
func NewRDB(e engine.RDB) status.Component {
	p := component("rdb engine", e)
	probe := p.Probe
	p.Probe = func(ctx context.Context) (status.Report, error) {
		report, err := probe(ctx)
		if err != nil || !e.Configured() {
			return report, err
		}
		open, err := e.OpenDatabases(ctx)
		if err == nil && len(open) > 0 {
			report.Details = append(report.Details, status.Detail{Name: "open to every user", Value: strings.Join(open, ", ")})
		}
		if n, failure := e.CountUnreadableMarks(ctx); failure == nil && n > 0 {
			report.Condition = status.Degraded
			report.Text = fmt.Sprintf("answers; %d marks of this platform are not readable, see docs/databases.md", n)
		}
		return report, err
	}
	return p
}

// NewKV returns the component of the KV engine.
func NewKV(e engine.KV) status.Component { return component("kv engine", e) }

func component(name string, e probed) status.Component {
	return status.Component{Name: name, Probe: func(ctx context.Context) (status.Report, error) {
		if !e.Configured() {
			return status.Report{Condition: status.OK, Text: "not configured; tasks for it fail"}, nil
		}
		if err := e.Ready(ctx); err != nil {
			return status.Report{}, err
		}
		return status.Report{Condition: status.OK, Text: "answers"}, nil
	}}
}
