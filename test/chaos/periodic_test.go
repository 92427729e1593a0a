package chaos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/chaos/echo"
)

// tick is one of the periodic job's by the second in which it began, and its task.
type tick struct {
	number, task int64
}

// ticks returns those that were taken, in their order.
func (w *fixture) ticks(t *testing.T) (all []tick) {
	t.Helper()
	found, err := w.db.QueryContext(t.Context(), `SELECT due, task_id FROM inner_ticks WHERE name = $1 ORDER BY tick`,
		echo.PeriodicKey)
	require.NoError(t, err)
	defer func() { require.NoError(t, found.Close()) }()
	for found.Next() {
		var one tick
		require.NoError(t, found.Scan(&one.number, &one.task))
		all = append(all, one)
	}
	require.NoError(t, found.Err())
	return all
}

// stoodStill tells whether a busy machine let nobody begin a tick in its second: the job before it had not ended in time, or
// this test itself waited for a third of a second for one of its polls of the database.
func stoodStill(second int64, ended time.Time, polls []time.Time) bool {
	begin := time.Unix(second, 0)
	end := begin.Add(time.Second)
	if ended.After(end.Add(-time.Second / 3)) {
		return true
	}
	for i := 1; i < len(polls); i++ {
		if polls[i].Sub(polls[i-1]) > time.Second/3 && polls[i].After(begin) && polls[i-1].Before(end) {
			return true
		}
	}
	return false
}

func TestPeriodicJobRunsOncePerTickOnTwoReplicas(t *testing.T) {
	t.Parallel()
	wanted := 10
	if long() {
		wanted = 60
	}
	w := newFixture(t)
	one, two := w.start(t, "one", "--periodic"), w.start(t, "two", "--periodic")
	var polls []time.Time
	w.await(t, time.Duration(wanted)*time.Second+timeout, "enough ticks", func() bool {
		polls = append(polls, time.Now())
		return len(w.ticks(t)) > wanted
	})
	for _, r := range []*replica{one, two} {
		_, err := r.terminate(t.Context(), 2*shutdownTimeout)
		require.NoError(t, err)
	}

	runs := map[int64]int{}
	for _, e := range executions(t, one, two) {
		runs[e.task]++
	}
	ticks, rows := w.ticks(t), w.rows(t)
	for i, each := range ticks[:wanted] { // the last one may have been cut off
		for missed := ticks[max(i-1, 0)].number + 1; missed < each.number; missed++ {
			require.True(t, stoodStill(missed, rows[ticks[i-1].task].finished, polls), "tick %d was missed: %v", missed, ticks)
		}
		require.Equal(t, 1, runs[each.task], "executions of tick %d", each.number)
		delete(runs, each.task)
	}
	require.LessOrEqual(t, len(runs), len(ticks)-wanted, "executions that belong to no tick")
	require.Equal(t, len(ticks), w.count(t, `SELECT count(*) FROM console_tasks`))
	t.Logf("%d ticks, one execution each: %d on one replica, %d on the other", wanted, len(executions(t, one)),
		len(executions(t, two)))
	w.requireSound(t)
}
