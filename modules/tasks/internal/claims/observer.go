package claims

import (
	"time"

	"app238.com/inner/modules/tasks/internal/store"
)

// Observer finds dead processes: those whose heartbeat has not changed for a time measured by this process. It compares
// neither the database's clock with another one nor the clocks of two machines.
type Observer struct {
	after time.Duration
	known map[string]observation
	last  time.Time
}

// observation is the last observed heartbeat of a process, and how long it has not changed.
type observation struct {
	heartbeat string
	age       time.Duration
}

// minObservations is the minimum number of intervals between observations after which a process is dead. If this
// process was cut off for long, that counts as one of them: the others may have been cut off too.
const minObservations = 3

// NewObserver returns an observer that takes a process for dead after this heartbeat age, or after that of the process's own
// settings if it is longer.
func NewObserver(after time.Duration) *Observer {
	return &Observer{after: after, known: map[string]observation{}}
}

// Last returns when the last observation was made.
func (o *Observer) Last() time.Time { return o.last }

// Observe takes the processes as polled, and returns the dead ones, never self. Those without a row that the poll left out are
// kept as they were observed last; they are not returned before a poll shows them again.
func (o *Observer) Observe(polled store.PollResult, self string) (dead []store.Process) {
	span := max(0, min(polled.SentAt.Sub(o.last), o.after/minObservations))
	known := make(map[string]observation, len(polled.Processes))
	for _, p := range polled.Processes {
		now := observation{heartbeat: p.Heartbeat}
		if before, ok := o.known[p.ID]; ok && before.heartbeat == p.Heartbeat {
			now.age = before.age + span
		}
		known[p.ID] = now
		if p.ID != self && now.age >= max(o.after, p.TakeoverAfter) {
			dead = append(dead, p)
		}
	}
	for id, before := range o.known {
		if _, ok := known[id]; !ok && !polled.Thorough && before.heartbeat == "" {
			known[id] = observation{age: before.age + span}
		}
	}
	o.known, o.last = known, polled.ReceivedAt
	return dead
}
