// Package overview tells operators how the engines fare that hold users' data.
package overview

import (
	"context"

	"app238.com/inner/app/status"
	"app238.com/inner/modules/combinator/internal/engine"
)

// asked is what both engines answer.
type asked interface {
	Configured() bool
	Ready(ctx context.Context) error
}

// NewRDB returns the part that is the engine of SQL schemas.
func NewRDB(e engine.RDB) status.Part { return part("rdb engine", e) }

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
