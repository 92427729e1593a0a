package cron

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
)

// simulate advances time in steps for processes with these intervals, which execute what is due, and returns the times
// of the executions.
func simulate(begin, end, step float64, intervals ...int64) (times []float64) {
	var latest store.Tick
	entries := make([]entry, len(intervals))
	for i, interval := range intervals {
		entries[i].interval = interval
	}
	clock := time.Now()
	inserted := 0.0
	for now := begin; now < end; now += step {
		latest.Age = now - inserted
		for i := range entries {
			at := clock.Add(time.Duration((now - begin) * float64(time.Second)))
			if tick, due := entries[i].dueTick(latest, now, at, time.Hour); due {
				latest, inserted = tick, now
				times = append(times, now)
			}
		}
	}
	return times
}

func TestMixedIntervalsBehaveAsTheShorter(t *testing.T) {
	t.Parallel()
	for _, intervals := range [][]int64{{10}, {10, 10}, {10, 60}, {60, 10}, {20, 30}, {30, 20}, {7, 11, 13}, {86400, 3600}} {
		shortest, longest := intervals[0], intervals[0]
		for _, interval := range intervals {
			shortest, longest = min(shortest, interval), max(longest, interval)
		}
		const begin, days = 1_700_000_005, 3
		times := simulate(begin, begin+days*float64(86400), 1, intervals...)
		require.LessOrEqual(t, len(times), 2+int(days*86400/shortest), "%v", intervals)
		require.GreaterOrEqual(t, len(times), int(days*86400/(2*longest)), "%v", intervals)
		for i := 3; i < len(times); i++ { // the first two are of the current ticks
			require.GreaterOrEqual(t, times[i]-times[i-1], float64(shortest), "%v", intervals)
			require.Less(t, times[i]-times[i-1], float64(2*longest), "%v", intervals)
		}
	}
}

func TestChangedIntervalTakesEffectAtNextTick(t *testing.T) {
	t.Parallel()
	daily := entry{interval: 86400, runOnStart: true}
	hourly := store.Tick{Found: true, Number: 7, Due: 13 * 3600, Interval: 3600, Age: 60}
	require.EqualValues(t, 86400, daily.nextTick(hourly, 13*3600+60))
	_, due := daily.dueTick(hourly, 86399, time.Now(), 24*time.Hour)
	require.False(t, due)
	tick, due := daily.dueTick(hourly, 86401, time.Now(), 24*time.Hour)
	require.True(t, due)
	require.Equal(t, store.Tick{Found: true, Number: 8, Due: 86400, Interval: 86400}, tick)
}

func TestUntilDueIsTheNextTick(t *testing.T) {
	t.Parallel()
	e := entry{interval: 3600}
	latest := store.Tick{Found: true, Number: 7, Due: 7200, Interval: 3600, Age: 1}
	begun := time.Now()
	_, due := e.dueTick(latest, 7201, begun, time.Hour)
	require.False(t, due)
	require.Equal(t, 3599*time.Second, e.untilDue(latest, 7201, begun))
	// A job that waits for the end of its latest execution is checked again soon.
	latest.Active = true
	_, due = e.dueTick(latest, 10801, begun, time.Hour)
	require.False(t, due)
	require.Zero(t, e.untilDue(latest, 10801, begun))
}
