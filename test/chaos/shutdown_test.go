package chaos_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"app238.com/inner/test/chaos/echo"
	"app238.com/inner/test/chaos/journal"
)

// acceptAll posts tasks from some goroutines at the same time, each once, and returns the longest time to an answer.
func acceptAll(ctx context.Context, r *replica, tasks int, each func(i int) echo.Note) (time.Duration, error) {
	var longest [producers]time.Duration
	group, ctx := errgroup.WithContext(ctx)
	for p := range producers {
		group.Go(func() error {
			for i := p; i < tasks; i += producers {
				begin := time.Now()
				if _, err := r.accept(ctx, each(i)); err != nil {
					return err
				}
				longest[p] = max(longest[p], time.Since(begin))
			}
			return nil
		})
	}
	err := group.Wait()
	slowest := time.Duration(0)
	for _, d := range longest {
		slowest = max(slowest, d)
	}
	return slowest, err
}

// single makes tasks of one key each that take as long as is given in milliseconds, once the gate is open, if there is one.
func single(name string, hold int, gate string) func(i int) echo.Note {
	return func(i int) echo.Note {
		key := fmt.Sprintf("%s-%d", name, i)
		return echo.Note{Key: key, Seq: 1, Token: key, Hold: hold, Gate: gate}
	}
}

// open lets those go on that wait at the gate.
func open(t *testing.T, gate string) {
	t.Helper()
	require.NoError(t, os.WriteFile(gate, nil, 0o600))
}

func TestRunningJobsEndAtSIGTERMOthersAfterRestart(t *testing.T) {
	t.Parallel()
	const running, queued = 4, 500
	w := newFixture(t)
	gate := w.file("first", "gate")
	first := w.start(t, "first")
	_, err := acceptAll(t.Context(), first, running, single("running", 2000, gate))
	require.NoError(t, err)
	w.begun(t, running, first)
	_, err = acceptAll(t.Context(), first, queued, single("queued", 5, ""))
	require.NoError(t, err)
	require.Len(t, executions(t, first), running)
	require.Equal(t, queued+running, w.count(t, unfinished), "the queue did not fill: the test shows nothing")

	open(t, gate)
	took, err := first.terminate(t.Context(), 2*shutdownTimeout)
	require.NoError(t, err)
	require.Less(t, took, shutdownTimeout)
	for _, e := range executions(t, first) {
		require.Equal(t, journal.Done, e.outcome)
	}
	require.Equal(t, running, w.count(t, `SELECT count(*) FROM console_tasks WHERE task_status = 'finished'`))
	require.Equal(t, queued, w.count(t, `SELECT count(*) FROM console_tasks WHERE task_status = 'pending' AND claimed_by = ''`))
	require.Zero(t, w.count(t, `SELECT count(*) FROM inner_processes`), "its sign of life is left behind: %s", w.logs(t))

	begin := time.Now()
	second := w.start(t, "second")
	w.awaitFinished(t, timeout)
	t.Logf("SIGTERM took %s with %d running and %d queued, which were done %s after the restart",
		took.Round(time.Millisecond), running, queued, time.Since(begin).Round(time.Millisecond))
	seen := map[int64]int{}
	for _, e := range executions(t, first, second) {
		seen[e.task]++
	}
	require.Len(t, seen, running+queued)
	for task, n := range seen {
		require.Equal(t, 1, n, "executions of task %d", task)
	}
	w.requireSound(t)
}

func TestAcceptsSucceedWhileWorkersAreBlocked(t *testing.T) {
	t.Parallel()
	const blocking, slow = 4, 300
	w := newFixture(t)
	gate := w.file("blocked", "gate")
	r := w.start(t, "blocked")
	_, err := acceptAll(t.Context(), r, blocking, single("blocking", 5, gate))
	require.NoError(t, err)
	w.begun(t, blocking, r)
	slowest, err := acceptAll(t.Context(), r, slow, single("slow", 50, ""))
	require.NoError(t, err)
	// On a machine of its own it is a tenth of a second; this one may be shared.
	require.Less(t, slowest, 5*time.Second)
	require.Empty(t, done(executions(t, r)), "a worker became free: the test shows nothing")
	open(t, gate)
	w.awaitFinished(t, timeout)
	// Where the machine kept the replica from giving signs of life for a while, tasks were begun more often than done.
	require.Len(t, done(executions(t, r)), blocking+slow)
	t.Logf("%d accepts with all workers blocked, the slowest answered after %s", slow, slowest.Round(time.Millisecond))
	w.requireSound(t)
}

// done returns the executions that succeeded.
func done(of []*execution) []*execution {
	return slices.DeleteFunc(of, func(e *execution) bool { return e.outcome != journal.Done })
}
