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
	// runOnStart is true until this process has handled the execution on start.
	runOnStart bool
	// latest is the number of the latest observed execution, and since when it was first observed, by this process's
	// clock.
	latest int64
	since  time.Time
}

// nextTick returns the first tick at which the job is due after its latest execution. An execution with another
// interval counts for this one until the shorter of the two has passed: while the setting is being changed, replicas
// with the old and the new value together run the job no more often than those with the shorter one would alone.
func (e *entry) nextTick(latest store.Tick, databaseTime float64) int64 {
	if latest.Due == 0 { // between ticks, or by an earlier release: it counts as that of its tick
		return e.tickOf(databaseTime-latest.Age) + e.interval
	}
	shorter := e.interval
	if latest.Interval > 0 {
		shorter = min(shorter, latest.Interval)
	}
	return e.tickOf(float64(latest.Due + shorter + e.interval - 1))
}

// tickOf returns the tick that contains a time.
func (e *entry) tickOf(databaseTime float64) int64 {
	return int64(math.Floor(databaseTime/float64(e.interval))) * e.interval
}

// dueTick returns the execution that is due now, if any: that of the tick; one that is overdue because the database's
// clock was set back, which also counts for the next tick; or one because this process has started. None is due until
// the latest one has ended.
func (e *entry) dueTick(latest store.Tick, databaseTime float64, now time.Time, startInterval time.Duration) (store.Tick, bool) {
	next := store.Tick{Found: true, Number: latest.Number + 1, Interval: e.interval}
	if !latest.Found {
		next.Due = e.tickOf(databaseTime)
		return next, true
	}
	if latest.Number != e.latest || e.since.IsZero() {
		e.latest, e.since = latest.Number, now
	}
	tick := e.tickOf(databaseTime)
	switch {
	case latest.Active:
		return next, false
	case tick >= e.nextTick(latest, databaseTime):
		next.Due = tick
	case !now.Before(e.overdueAt()):
		next.Due = tick + e.interval
	case !e.runOnStart || latest.Age < startInterval.Seconds():
		return next, false
	}
	return next, true
}

// overdueMargin is the minimum time, beyond the interval, after which a missing execution is attributed to a clock
// step.
const overdueMargin = 3 * time.Second

// overdueAt returns the time, by this process's clock, by which the next execution exists unless the database's clock
// was set back. Then its ticks repeat, and no execution would be due until it has caught up.
func (e *entry) overdueAt() time.Time {
	interval := time.Duration(e.interval) * time.Second
	return e.since.Add(interval + max(interval/10, overdueMargin))
}

// untilDue returns the time until the job is due after its latest execution, 0 if it waits for the end of that.
func (e *entry) untilDue(latest store.Tick, databaseTime float64, now time.Time) time.Duration {
	untilTick := time.Duration((float64(e.nextTick(latest, databaseTime)) - databaseTime) * float64(time.Second))
	return max(0, min(untilTick, e.overdueAt().Sub(now)))
}
