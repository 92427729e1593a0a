package claims

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
)

// watch observes the heartbeat of process "other" with a limit of nine seconds.
type watch struct {
	observer *Observer
	now      time.Time
}

func newWatch() *watch { return &watch{NewObserver(9 * time.Second), time.Now()} }

func (w *watch) dead(later time.Duration, heartbeat string) bool {
	w.now = w.now.Add(later)
	sent := w.now
	w.now = w.now.Add(100 * time.Millisecond)
	dead := w.observer.Observe(store.PollResult{
		Processes: []store.Process{{ID: "other", Heartbeat: heartbeat}, {ID: "self", Heartbeat: "1"}}, Thorough: true,
		SentAt: sent, ReceivedAt: w.now,
	}, "self")
	for _, p := range dead {
		if p != (store.Process{ID: "other", Heartbeat: heartbeat}) {
			return false
		}
	}
	return len(dead) > 0
}

func TestProcessIsDeadAfterUnchangedHeartbeat(t *testing.T) {
	t.Parallel()
	w := newWatch()
	for range 3 {
		require.False(t, w.dead(3*time.Second, "a"))
	}
	require.True(t, w.dead(3*time.Second, "a"))
	require.True(t, w.dead(3*time.Second, "a"), "until it is recovered")
	require.False(t, w.dead(3*time.Second, "b"), "any other value is a new heartbeat, an earlier time too")
	for range 2 {
		require.False(t, w.dead(3*time.Second, "b"))
	}
	require.True(t, w.dead(3*time.Second, "b"))
}

func TestOwnOutageDoesNotMakeOthersDead(t *testing.T) {
	t.Parallel()
	w := newWatch()
	require.False(t, w.dead(0, "a"))
	require.False(t, w.dead(time.Hour, "a"), "the database may have been unavailable for all")
	require.False(t, w.dead(time.Hour, "a"))
	require.False(t, w.dead(time.Second, "b"))
	for range 2 {
		require.False(t, w.dead(time.Minute, "b"))
	}
	require.True(t, w.dead(time.Minute, "b"), "but rare observations count in the end")
}

func TestReappearedProcessIsObservedAnew(t *testing.T) {
	t.Parallel()
	w := newWatch()
	for range 3 {
		require.False(t, w.dead(3*time.Second, "a"))
	}
	w.observer.Observe(store.PollResult{SentAt: w.now, ReceivedAt: w.now}, "self")
	require.False(t, w.dead(3*time.Second, "a"))
}

func TestUnregisteredProcessIsKeptThroughPollsWithoutIt(t *testing.T) {
	t.Parallel()
	w := newWatch()
	require.False(t, w.dead(3*time.Second, ""))
	for range 3 {
		w.now = w.now.Add(3 * time.Second)
		dead := w.observer.Observe(store.PollResult{SentAt: w.now, ReceivedAt: w.now}, "self")
		require.Empty(t, dead)
	}
	require.True(t, w.dead(time.Second, ""))
}

func TestProcessIsDeadByItsOwnSettingsIfTheyAllowMore(t *testing.T) {
	t.Parallel()
	for own, polls := range map[time.Duration]int{0: 3, time.Second: 3, 20 * time.Second: 7} {
		o, now := NewObserver(9*time.Second), time.Now()
		for i := range polls + 1 {
			polled := store.PollResult{Processes: []store.Process{{ID: "other", Heartbeat: "a", TakeoverAfter: own}}, Thorough: true,
				SentAt: now, ReceivedAt: now}
			require.Equal(t, i == polls, len(o.Observe(polled, "self")) > 0, "%s, poll %d", own, i)
			now = now.Add(3 * time.Second)
		}
	}
}
