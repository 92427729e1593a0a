package chaos_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/chaos/note"
)

// tick is one of the periodic job's, and its task.
type tick struct {
	number, task int64
}

// ticks returns those that were taken, in their order.
func (w *world) ticks(t *testing.T) (all []tick) {
	t.Helper()
	found, err := w.db.QueryContext(t.Context(), `SELECT tick, task_id FROM inner_ticks WHERE name = $1 ORDER BY tick`, note.PeriodicKey)
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

func TestAPeriodicJobRunsOnceATickOnTwoReplicas(t *testing.T) {
	t.Parallel()
	wanted := 10
	if long() {
		wanted = 60
	}
	w := newWorld(t)
	one, two := w.start(t, "one", "--periodic"), w.start(t, "two", "--periodic")
	w.await(t, time.Duration(wanted)*time.Second+patience, "enough ticks", func() bool { return len(w.ticks(t)) > wanted })
	for _, r := range []*replica{one, two} {
		_, err := r.terminate(t.Context(), 2*shutdownTimeout)
		require.NoError(t, err)
	}

	runs := map[int64]int{}
	for _, e := range executions(t, one, two) {
		runs[e.task]++
	}
	ticks := w.ticks(t)
	for i, each := range ticks[:wanted] { // the last one may have been cut off
		require.Equal(t, ticks[0].number+int64(i), each.number, "a tick was missed: %v", ticks)
		require.Equal(t, 1, runs[each.task], "executions of tick %d", each.number)
		delete(runs, each.task)
	}
	require.LessOrEqual(t, len(runs), len(ticks)-wanted, "executions that belong to no tick")
	require.Equal(t, len(ticks), w.count(t, `SELECT count(*) FROM console_tasks`))
	t.Logf("%d ticks, one execution each: %d on one replica, %d on the other", wanted, len(executions(t, one)), len(executions(t, two)))
	w.requireSound(t)
}
