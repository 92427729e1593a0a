package chaos_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/chaos/echo"
	"app238.com/inner/test/chaos/journal"
	"app238.com/inner/test/proxy"
)

// begun returns the executions by their tasks once each of these replicas has begun n of them.
func (w *fixture) begun(t *testing.T, n int, replicas ...*replica) map[int64][]*execution {
	t.Helper()
	byTask := map[int64][]*execution{}
	w.await(t, timeout, "the tasks have begun", func() bool {
		clear(byTask)
		enough := true
		for _, r := range replicas {
			of := executions(t, r)
			enough = enough && len(of) >= n
			for _, e := range of {
				byTask[e.task] = append(byTask[e.task], e)
			}
		}
		return enough
	})
	return byTask
}

// outcomes are those that a stale claimer may want to write.
var outcomes = []journal.Outcome{journal.Done, journal.Retry, journal.Snooze, journal.Parked}

// occupyWithOutcomes gives a replica a task for each outcome, waits until it is in the middle of them all, and returns the gate
// at which they wait before their last 700 milliseconds.
func (w *fixture) occupyWithOutcomes(t *testing.T, r *replica) (gate string) {
	t.Helper()
	gate = w.file(r.name, "gate")
	for i, outcome := range outcomes {
		n := echo.Note{
			Key: fmt.Sprintf("key-%d", i), Seq: 1, Token: "stale-" + string(outcome), Hold: 2000, On: r.name, OnHold: 700,
			Outcome: outcome,
			Gate:    gate,
		}
		_, err := r.accept(t.Context(), n)
		require.NoError(t, err)
	}
	w.begun(t, len(outcomes), r)
	return gate
}

// A job that does not check its context goes on in a process that was presumed dead. Whatever it then returns must not
// touch the task, which runs elsewhere.
func TestFrozenReplicaChangesNothing(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	stale := w.start(t, "stale")
	gate := w.occupyWithOutcomes(t, stale)
	require.NoError(t, stale.freeze())
	open(t, gate)
	other := w.start(t, "other")
	w.begun(t, len(outcomes), other)
	require.NoError(t, stale.thaw())
	w.awaitFinished(t, timeout)
	requireOnlyTheSecondCounts(t, w, stale, other)
	w.requireSound(t)
}

// A process that is cut off from the database has results that it tries to write until it can; by then the tasks run
// elsewhere.
func TestDisconnectedReplicaChangesNothing(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	p, direct := proxy.New(t, w.dsn), w.dsn
	w.dsn = p.DSN
	stale := w.start(t, "stale")
	gate := w.occupyWithOutcomes(t, stale)
	p.Cut()
	open(t, gate)
	w.dsn = direct
	other := w.start(t, "other")
	w.begun(t, len(outcomes), other)
	p.Restore()
	w.await(t, timeout, "the stale results are dropped", func() bool {
		return bytes.Count(w.logs(t), []byte("result dropped")) >= len(outcomes) // more if a lease is lost on a busy machine
	})
	w.awaitFinished(t, timeout)
	requireOnlyTheSecondCounts(t, w, stale, other)
	w.requireSound(t)
}

func requireOnlyTheSecondCounts(t *testing.T, w *fixture, stale, other *replica) {
	t.Helper()
	rows := w.rows(t)
	require.Len(t, rows, len(outcomes))
	for id, of := range w.begun(t, len(outcomes), stale, other) {
		r := rows[id]
		require.GreaterOrEqual(t, len(of), 2, "%s", of)
		first, second, last := of[0], of[1], of[len(of)-1]
		require.Equal(t, []*replica{stale, other}, []*replica{first.replica, second.replica})
		for _, e := range of[1 : len(of)-1] {
			require.Equal(t, journal.Aborted, e.outcome, "only what lost its lease, on a busy machine, runs again: %s", of)
		}
		require.Equal(t, journal.Done, last.outcome)
		require.GreaterOrEqual(t, second.begin.Sub(first.begin), takeoverAfter-500*time.Millisecond, "taken over early")
		require.NotEmpty(t, first.outcome, "the stale one has not ended: the test shows nothing")
		require.True(t, first.end.Before(last.end), "the stale one came too late: the test shows nothing: %s", of)
		require.False(t, r.finished.Before(last.end.Truncate(time.Microsecond)), "finished at %s, before the end of %s", r.finished,
			last)
		require.Equal(t, len(of), r.claims, r.info)
		require.Equal(t, 1, r.attempts, r.info)
		require.Empty(t, r.last, r.info)
	}
}
