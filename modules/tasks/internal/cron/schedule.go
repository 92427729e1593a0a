package cron

import (
	"math"
	"time"

	"app238.com/inner/modules/tasks/internal/store"
)

// entry is a periodic job and its task.
type entry struct {
	name string
	// interval is the time between two ticks in seconds.
	interval int64
	task     store.NewTask
	// starting tells that this process has not yet seen to the execution at its start.
	runOnStart bool
	// latest numbers the latest execution that was seen, and since is when it was seen first, by this process's clock.
	latest int64
	since  time.Time
}

// next returns the first tick at which the job is due after its latest execution. What another interval has made counts for
// this one, until the shorter of the two has passed: while the setting is being changed, the replicas with the one and with
// the other value together run the job no more often than those with the shorter one would alone.
func (e *entry) nextTick(latest store.Tick, now float64) int64 {
	if latest.Due == 0 { // between ticks, or of an earlier release: that tick has had its execution
		return e.tickOf(now-latest.Age) + e.interval
	}
	shorter := e.interval
	if latest.Interval > 0 {
		shorter = min(shorter, latest.Interval)
	}
	return e.tickOf(float64(latest.Due + shorter + e.interval - 1))
}

// tickOf returns the tick that a moment lies in.
func (e *entry) tickOf(now float64) int64 {
	return int64(math.Floor(now/float64(e.interval))) * e.interval
}

// execution returns what is to be executed now, if anything is: the tick, one that the database's clock keeps from coming,
// which stands for the next tick too, or one because this process has started. Nothing is while the latest has not ended.
func (e *entry) dueTick(latest store.Tick, now float64, begun time.Time, recently time.Duration) (store.Tick, bool) {
	one := store.Tick{Found: true, Number: latest.Number + 1, Interval: e.interval}
	if !latest.Found {
		one.Due = e.tickOf(now)
		return one, true
	}
	if latest.Number != e.latest || e.since.IsZero() {
		e.latest, e.since = latest.Number, begun
	}
	tick := e.tickOf(now)
	switch {
	case latest.Active:
		return one, false
	case tick >= e.nextTick(latest, now):
		one.Due = tick
	case !begun.Before(e.overdueAt()):
		one.Due = tick + e.interval
	case !e.runOnStart || latest.Age < recently.Seconds():
		return one, false
	}
	return one, true
}

// overdueMargin is for how much longer than an interval the latest execution stays the latest at least, before that is because
// the database's clock was set back.
const overdueMargin = 3 * time.Second

// overdue returns until when, by this process's clock, there is an execution after the latest, unless the database's clock was
// set back: then its ticks are those of a time that has been. There would be none for as long as it was set back.
func (e *entry) overdueAt() time.Time {
	interval := time.Duration(e.interval) * time.Second
	return e.since.Add(interval + max(interval/10, overdueMargin))
}

// wait returns for how long nothing is to be done for the job after its latest execution, and 0 where it waits for the end of
// that.
func (e *entry) untilDue(latest store.Tick, now float64, begun time.Time) time.Duration {
	untilTick := time.Duration((float64(e.nextTick(latest, now)) - now) * float64(time.Second))
	return max(0, min(untilTick, e.overdueAt().Sub(begun)))
}
