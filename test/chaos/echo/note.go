// Package echo is the job of the chaos tests: it records its start and its outcome in the journal.
package echo

import (
	"errors"
	"time"

	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/chaos/journal"
)

// Type is the job type.
const Type = "chaos.note"

// PeriodicKey is the ordering key of the periodic job, and its name.
const PeriodicKey = "chaos.periodic"

// Note is the payload.
type Note struct {
	Key string `json:"key"`
	// Seq counts the tasks of the key in the order of their acceptance, from 1.
	Seq int `json:"seq"`
	// Token identifies the accepted task in its row.
	Token string `json:"token"`
	// Hold is the duration of the work in milliseconds. 0 is a random short time with a random outcome.
	Hold int `json:"hold_ms,omitempty"`
	// Gate is a file that the work waits for first.
	Gate string `json:"gate,omitempty"`
	// On names the replica in which the execution does not check its context, takes OnHold, and has this Outcome.
	On      string          `json:"on,omitempty"`
	OnHold  int             `json:"on_hold_ms,omitempty"`
	Outcome journal.Outcome `json:"outcome,omitempty"`
	// Deaf is of a task that ignores its context: it takes Hold whatever happens, and is done then.
	Deaf bool `json:"deaf,omitempty"`
	// Deadly tasks end their process as SIGKILL does, each time after Hold.
	Deadly bool `json:"deadly,omitempty"`
}

// Validate implements job.Payload.
func (n Note) Validate() error {
	if n.Key == "" {
		return errors.New("key: required")
	}
	return nil
}

// OrderingKey implements job.Payload.
func (n Note) OrderingKey() string { return n.Key }

// Periodic is the job that runs every second.
func Periodic() job.Periodic {
	return job.Periodic{
		Name: PeriodicKey, Interval: time.Second, Type: Type, Payload: Note{Key: PeriodicKey, Hold: 5},
	}
}
