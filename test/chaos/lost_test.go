package chaos_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"app238.com/inner/test/chaos/note"
	"app238.com/inner/test/proxy"
)

// A statement may be carried out and its answer lost: then rows are claims of a process that knows nothing of them, and
// lives. What is asked again must not be there twice.
func TestClaimsWhoseAnswerWasLostAreRun(t *testing.T) {
	t.Parallel()
	const tasks, losses = 200, 5
	w := newWorld(t)
	p := proxy.New(t, w.dsn)
	w.dsn = p.DSN
	r := w.start(t, "unlucky")
	for _, words := range []string{"INSERT INTO console_tasks", "WITH heads AS", "UPDATE console_tasks AS c\nSET task_status = 'finished'"} {
		p.LoseAnswers(words, losses)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var accepted [producers][]acceptance
	var group errgroup.Group
	for producer := range producers {
		group.Go(func() error {
			for i := producer; i < tasks; i += producers {
				n := note.Note{Key: fmt.Sprintf("key-%d", producer), Seq: i/producers + 1, Token: fmt.Sprintf("lost-%d-", i), Hold: 10}
				a, err := acceptAnyhow(ctx, n, func() *replica { return r })
				if err != nil {
					return err
				}
				accepted[producer] = append(accepted[producer], a)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	w.awaitFinished(t, patience/2)
	left, lost := p.Outstanding()
	require.Zero(t, left, "not every answer was lost: the test shows nothing")
	h := &history{executions: executions(t, r), rows: w.rows(t)}
	for _, a := range accepted {
		h.accepted = append(h.accepted, a...)
	}
	require.Empty(t, h.check())
	t.Logf("%d answers lost: %d tasks, %d executions (%s)", lost, len(h.rows), len(h.executions), h.outcomes())
	w.requireSound(t)
}

// An outage shorter than a lease costs no execution: the results of what ended meanwhile are written afterwards.
func TestResultsAreWrittenAfterAShortOutage(t *testing.T) {
	t.Parallel()
	const tasks = 4
	w := newWorld(t)
	p := proxy.New(t, w.dsn)
	w.dsn = p.DSN
	r := w.start(t, "patient")
	_, err := acceptAll(t.Context(), r, tasks, single("short", 500))
	require.NoError(t, err)
	w.begun(t, tasks, r)
	p.Cut()
	w.await(t, patience, "the jobs have ended", func() bool {
		return !slices.ContainsFunc(executions(t, r), func(e *execution) bool { return e.outcome == "" })
	})
	require.Equal(t, tasks, w.count(t, unfinished), "the results were written before the outage: the test shows nothing")
	p.Mend()
	w.awaitFinished(t, patience)
	require.Len(t, executions(t, r), tasks)
	for _, of := range w.rows(t) {
		require.Equal(t, 1, of.claims, of.info)
	}
	w.requireSound(t)
}
