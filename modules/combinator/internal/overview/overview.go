// Package overview tells operators how the engines fare that hold users' data.
package overview

import (
	"context"
	"fmt"
	"strings"

	"app238.com/inner/app/status"
	"app238.com/inner/modules/combinator/internal/engine"
)

// asked is what both engines answer.
type asked interface {
	Configured() bool
	Ready(ctx context.Context) error
}

// NewRDB returns the part that is the engine of SQL schemas.
func NewRDB(e engine.RDB) status.Part {
	p := part("rdb engine", e)
	look := p.Look
	p.Look = func(ctx context.Context) (status.Report, error) {
		report, err := look(ctx)
		if err != nil || !e.Configured() {
			return report, err
		}
		open, err := e.OpenDatabases(ctx)
		if err == nil && len(open) > 0 {
			report.Facts = append(report.Facts, status.Fact{Name: "open to every user", Value: strings.Join(open, ", ")})
		}
		if n, failure := e.UnreadableMarks(ctx); failure == nil && n > 0 {
			report.Condition = status.Degraded
			report.Text = fmt.Sprintf("answers; %d marks of this platform are not readable, see docs/databases.md", n)
		}
		return report, err
	}
	return p
}

// NewKV returns the part that is the engine of key-value namespaces.
func NewKV(e engine.KV) status.Part { return part("kv engine", e) }

func part(name string, e asked) status.Part {
	return status.Part{Name: name, Look: func(ctx context.Context) (status.Report, error) {
		if !e.Configured() {
			return status.Report{Condition: status.OK, Text: "not configured; tasks for it fail"}, nil
		}
		if err := e.Ready(ctx); err != nil {
			return status.Report{}, err
		}
		return status.Report{Condition: status.OK, Text: "answers"}, nil
	}}
}
