package claims

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
)

// watch has an observer with a limit of nine seconds see a heartbeat of process "other" every so often.
type watch struct {
	observer *Observer
	now      time.Time
}

func newWatch() *watch { return &watch{NewObserver(9 * time.Second), time.Now()} }

func (w *watch) sees(later time.Duration, heartbeat string) bool {
	w.now = w.now.Add(later)
	started := w.now
	w.now = w.now.Add(100 * time.Millisecond)
	silent := w.observer.Observe([]store.Process{{ID: "other", Heartbeat: heartbeat}, {ID: "self", Heartbeat: "1"}}, "self", started, w.now)
	for _, p := range silent {
		if p != (store.Process{ID: "other", Heartbeat: heartbeat}) {
			return false
		}
	}
	return len(silent) > 0
}

func TestProcessIsDeadAfterUnchangedHeartbeat(t *testing.T) {
	t.Parallel()
	w := newWatch()
	for range 3 {
		require.False(t, w.sees(3*time.Second, "a"))
	}
	require.True(t, w.sees(3*time.Second, "a"))
	require.True(t, w.sees(3*time.Second, "a"), "until somebody has taken over")
	require.False(t, w.sees(3*time.Second, "b"), "any other value is a sign of life, an earlier time too")
	for range 2 {
		require.False(t, w.sees(3*time.Second, "b"))
	}
	require.True(t, w.sees(3*time.Second, "b"))
}

func TestOwnOutageDoesNotMakeOthersDead(t *testing.T) {
	t.Parallel()
	w := newWatch()
	require.False(t, w.sees(0, "a"))
	require.False(t, w.sees(time.Hour, "a"), "the database may have been away for all")
	require.False(t, w.sees(time.Hour, "a"))
	require.False(t, w.sees(time.Second, "b"))
	for range 2 {
		require.False(t, w.sees(time.Minute, "b"))
	}
	require.True(t, w.sees(time.Minute, "b"), "but seldom observations do not go on for ever")
}

func TestReappearedProcessIsObservedAnew(t *testing.T) {
	t.Parallel()
	w := newWatch()
	for range 3 {
		require.False(t, w.sees(3*time.Second, "a"))
	}
	w.observer.Observe(nil, "self", w.now, w.now)
	require.False(t, w.sees(3*time.Second, "a"))
}
