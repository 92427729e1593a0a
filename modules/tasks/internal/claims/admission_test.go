package claims

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
)

func TestAcceptsAreLimitedWhereTasksWaitForIdleWorkers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		waited time.Duration // since the tasks were accepted that are begun
		each   time.Duration // what a job takes, of which each of 4 workers runs 5 in 250 ms
		begun  bool
		none   bool // pending in the database
		want   bool
	}{
		"waiting tasks and idle workers":      {waited: 2 * time.Second, each: time.Millisecond, begun: true, want: true},
		"jobs that take the time":             {waited: 2 * time.Second, each: 40 * time.Millisecond, begun: true},
		"tasks that wait a moment":            {waited: time.Second / 2, each: time.Millisecond, begun: true},
		"none left in the database":           {waited: 2 * time.Second, each: time.Millisecond, begun: true, none: true},
		"nothing begun, as without a cluster": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				lane := newOpenLane(!c.none)
				for range 5 {
					for range lane.Workers {
						if c.begun {
							lane.StartTask(c.waited)()
							time.AfterFunc(c.each, lane.StartJob())
						}
					}
					<-time.After(AdaptInterval / 5)
				}
				lane.adaptWindow(false)
				require.Equal(t, c.want, lane.Limited())
				require.NotEqual(t, c.want, lane.Admit())
			})
		})
	}
}

func newOpenLane(backlog bool) *Lane {
	lane := NewTracker(&config.Config{Tasks: config.Tasks{Workers: 4, Buffer: 512}}).Lane("default")
	lane.SetOpen(true)
	lane.SetBacklog(backlog)
	return lane
}

func TestLongJobsOfAllWorkersLimitNoAccepts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lane := newOpenLane(true)
		for range lane.Workers {
			lane.StartTask(time.Minute)
			lane.StartJob()
		}
		for range 3 {
			<-time.After(AdaptInterval)
			lane.adaptWindow(false)
			require.False(t, lane.Limited())
		}
	})
}

func TestLimitedLaneAdmitsHalfOfWhatItBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lane := newOpenLane(true)
		begin := func(n int, waited time.Duration) {
			for range n {
				lane.StartTask(waited)()
			}
		}
		admitted := func() (n int) {
			for n < 10*maxCredit && lane.Admit() {
				n++
			}
			return n
		}
		interval := func() {
			<-time.After(AdaptInterval)
			lane.adaptWindow(false)
		}
		begin(100, 2*time.Second)
		interval()
		require.Zero(t, admitted(), "what was begun before it was limited counts not")
		begin(100, 2*time.Second)
		require.Equal(t, 50, admitted())
		begin(5*maxCredit, 2*time.Second)
		interval()
		require.Equal(t, maxCredit, admitted())
		begin(100, 0)
		interval()
		require.True(t, lane.Limited(), "those that were claimed when they were accepted say nothing of the others")
		begin(1, time.Millisecond)
		interval()
		require.Equal(t, 10*maxCredit, admitted(), "no task waits any more")
		begin(100, 2*time.Second)
		for range maxQuiet/AdaptInterval - 1 {
			interval()
			require.True(t, lane.Limited(), "nothing is begun, and no task is known to wait less")
		}
		interval()
		require.False(t, lane.Limited(), "nothing was begun for long")
		begin(100, 2*time.Second)
		interval()
		lane.SetOpen(false)
		require.Equal(t, 10*maxCredit, admitted(), "another process begins the tasks now")
	})
}
