package chaos_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"app238.com/inner/test/chaos/echo"
	"app238.com/inner/test/proxy"
)

// A statement may be carried out and its answer lost: then rows are claims of a process that knows nothing of them, and
// lives. What is asked again must not be there twice.
func TestClaimsWithLostAnswerAreRun(t *testing.T) {
	t.Parallel()
	const tasks = 400
	w := newFixture(t)
	p := proxy.New(t, w.dsn)
	w.dsn = p.DSN
	r, victim := w.start(t, "unlucky"), w.start(t, "victim")
	p.LoseOfEveryKind()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	var accepted [producers][]acceptance
	var group errgroup.Group
	for producer := range producers {
		group.Go(func() error {
			for i := producer; i < tasks; i += producers {
				n := echo.Note{Key: fmt.Sprintf("key-%d", producer), Seq: i/producers + 1, Token: fmt.Sprintf("lost-%d-", i)}
				a, err := acceptUntilAnswered(ctx, n, func() *replica { return r })
				if err != nil {
					return err
				}
				accepted[producer] = append(accepted[producer], a)
			}
			return nil
		})
	}
	w.begun(t, 1, victim)
	victim.kill()
	require.NoError(t, group.Wait())
	w.awaitFinished(t, timeout/2)
	// The victim's row may be all that it left, and is found seconds after its last task has ended.
	w.await(t, timeout/2, "every kind of statement is sent", func() bool { return len(unsent(p, kindsOfLife())) == 0 })
	_, err := r.terminate(ctx, shutdownTimeout)
	require.NoError(t, err)
	requireKinds(t, p)
	_, lost := p.Outstanding()
	h := &history{executions: executions(t, r, victim), rows: w.rows(t)}
	for _, a := range accepted {
		h.accepted = append(h.accepted, a...)
	}
	require.Empty(t, h.check())
	t.Logf("%d answers lost, to %d kinds of statements: %d tasks, %d executions (%s)",
		lost, len(p.Kinds()), len(h.rows), len(h.executions), h.outcomes())
	w.requireSound(t)
}

// requireKinds sees that every kind of statement was sent that changes something in the life of a task or process, and so that
// answers to it were lost.
func requireKinds(t *testing.T, p *proxy.Proxy) {
	t.Helper()
	const stop = "DELETE FROM inner_processes WHERE id = $1"
	require.Empty(t, unsent(p, append(kindsOfLife(), stop)), "never sent: the test shows nothing")
}

// kindsOfLife are the kinds of statements that change something in the life of a task or process before its stop.
func kindsOfLife() []string {
	return []string{
		"INSERT INTO console_tasks", "WITH next_tasks AS", "UPDATE console_tasks AS c\nSET task_status", // accept, claim, finish
		"task_detailed_status = $4, last_error = $5", "CASE WHEN woken", // once more, park
		"WHERE ordering_key = $1 AND task_status", "SET woken = true", // wake
		"SET heartbeat_at", "DELETE FROM inner_processes WHERE id IN", "takeovers = takeovers + 1", // live, take over
	}
}

// unsent returns the kinds that were not sent, so that no answer to them can have been lost.
func unsent(p *proxy.Proxy, kinds []string) (missing []string) {
	sent := strings.Join(slices.Collect(maps.Keys(p.Kinds())), "\n")
	for _, words := range kinds {
		if !strings.Contains(sent, words) {
			missing = append(missing, words)
		}
	}
	return missing
}

// An outage shorter than a lease costs no execution: the results of what ended meanwhile are written afterwards.
func TestResultsAreWrittenAfterOutage(t *testing.T) {
	t.Parallel()
	const tasks = 4
	w := newFixture(t)
	p := proxy.New(t, w.dsn)
	w.dsn = p.DSN
	gate := w.file("patient", "gate")
	r := w.start(t, "patient")
	_, err := acceptAll(t.Context(), r, tasks, single("short", 5, gate))
	require.NoError(t, err)
	w.begun(t, tasks, r)
	p.Cut()
	open(t, gate)
	w.await(t, timeout, "the jobs have ended", func() bool {
		return !slices.ContainsFunc(executions(t, r), func(e *execution) bool { return e.outcome == "" })
	})
	require.Equal(t, tasks, w.count(t, unfinished), "the results were written before the outage: the test shows nothing")
	p.Restore()
	w.awaitFinished(t, timeout)
	require.Len(t, executions(t, r), tasks)
	for _, of := range w.rows(t) {
		require.Equal(t, 1, of.claims, of.info)
	}
	w.requireSound(t)
}
