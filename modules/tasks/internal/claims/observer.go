package claims

import (
	"time"

	"app238.com/inner/modules/tasks/internal/store"
)

// Observer tells which processes are silent: those whose heartbeat did not change while time passed here. It compares
// neither the database's clock with anything nor the clocks of two machines.
type Observer struct {
	after time.Duration
	known map[string]observation
	last  time.Time
}

// observation is the last heartbeat that was seen of a process, and for how long it has not changed.
type observation struct {
	heartbeat string
	silence   time.Duration
}

// observations is how many spans between observations a silence consists of at least. Who was cut off himself for long
// counts one of them for it: the others may have been cut off like him.
const minObservations = 3

// NewObserver returns an observer to whom a process is silent after this time.
func NewObserver(after time.Duration) *Observer {
	return &Observer{after: after, known: map[string]observation{}}
}

// Last returns when the last observation received.
func (o *Observer) Last() time.Time { return o.last }

// Observe takes what was read of all processes between sent and received, and returns those that are silent. This process's
// own identity is never one of them.
func (o *Observer) Observe(processes []store.Process, self string, sent, received time.Time) (silent []store.Process) {
	span := max(0, min(sent.Sub(o.last), o.after/minObservations))
	known := make(map[string]observation, len(processes))
	for _, p := range processes {
		now := observation{heartbeat: p.Heartbeat}
		if before, ok := o.known[p.ID]; ok && before.heartbeat == p.Heartbeat {
			now.silence = before.silence + span
		}
		known[p.ID] = now
		if p.ID != self && now.silence >= o.after {
			silent = append(silent, p)
		}
	}
	o.known, o.last = known, received
	return silent
}
