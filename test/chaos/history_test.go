package chaos_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"app238.com/inner/test/chaos/journal"
)

// killed is the outcome of an execution whose process was killed.
const killed journal.Outcome = "killed"

// silentKeys is the prefix of the keys of tasks that ignore their context.
const silentKeys = "deaf-"

// thawed is how long after SIGCONT a replica may begin an execution that was due before, provided that it is aborted.
const thawed = 500 * time.Millisecond

// execution is one run of a task by a replica.
type execution struct {
	replica    *replica
	task       int64
	key        string
	seq        int
	begin, end time.Time
	outcome    journal.Outcome // "" while it has not ended
}

// silent tells whether the execution ignores its context: it goes on in a process that was presumed dead, and only the
// result is kept from counting.
func (e *execution) silent() bool { return strings.HasPrefix(e.key, silentKeys) }

// String describes the execution.
func (e *execution) String() string {
	return fmt.Sprintf("task %d (%s, %d) on %s %s..%s %s", e.task, e.key, e.seq, e.replica.name,
		e.begin.Format("05.000"), e.end.Format("05.000"), e.outcome)
}

// history is all that is known at the end.
type history struct {
	executions []*execution
	accepted   []acceptance
	rows       map[int64]row
	violations []string
}

func (h *history) violation(format string, args ...any) {
	h.violations = append(h.violations, fmt.Sprintf(format, args...))
}

// check returns what is wrong.
func (h *history) check() []string {
	h.endExecutions()
	slices.SortFunc(h.executions, func(a, b *execution) int { return a.begin.Compare(b.begin) })
	h.checkRows()
	h.checkEnds()
	byKey := map[string][]*execution{}
	for _, e := range h.executions {
		byKey[e.key] = append(byKey[e.key], e)
	}
	for key, of := range byKey {
		h.checkAlone(key, of)
		h.checkOrder(key, of)
	}
	slices.Sort(h.violations)
	return h.violations
}

// endExecutions gives every execution its end: one of a killed replica ends with it, and one that a standstill cut short ends
// with the beginning of that, provided that it did nothing afterwards.
func (h *history) endExecutions() {
	h.executions = slices.DeleteFunc(h.executions, func(e *execution) bool {
		r := e.replica
		if e.outcome == "" {
			if r.killed.IsZero() {
				h.violation("%s has not ended", e)
			}
			e.end, e.outcome = r.killed, killed
		}
		if r.continued.IsZero() || e.end.Before(r.continued) {
			return false
		}
		if e.silent() {
			return false
		}
		if e.begin.Before(r.continued) {
			if e.outcome != journal.Aborted {
				h.violation("%s went on after a standstill from %s to %s", e, r.stopped.Format("05.000"), r.continued.Format("05.000"))
			}
			e.end = r.stopped
			if e.begin.After(e.end) {
				e.end = e.begin
			}
			return false
		}
		return e.begin.Before(r.continued.Add(thawed)) && e.outcome == journal.Aborted
	})
}

// checkRows compares what was accepted with what the table holds: the same tasks, each once and finished.
func (h *history) checkRows() {
	if len(h.rows) != len(h.accepted) {
		h.violation("%d tasks were accepted, %d are in the table", len(h.accepted), len(h.rows))
	}
	seen := map[int64]bool{}
	for _, a := range h.accepted {
		r, there := h.rows[a.id]
		switch {
		case !there:
			h.violation("task %d was accepted and is not there", a.id)
		case seen[a.id]:
			h.violation("task %d was given to two requests", a.id)
		case r.idempotencyKey != a.note.Token || !strings.Contains(r.info, `"`+a.note.Token+`"`):
			h.violation("task %d is not the one that was accepted as %s", a.id, a.note.Token)
		case r.status != "finished":
			h.violation("task %d is %s", a.id, r.status)
		}
		seen[a.id] = true
	}
}

// checkEnds sees that every task was finished by the claimer that ran it last: not before the end of its execution, and
// every execution was under a claim of its own.
func (h *history) checkEnds() {
	byTask := map[int64][]*execution{}
	for _, e := range h.executions {
		byTask[e.task] = append(byTask[e.task], e)
	}
	for id, r := range h.rows {
		of := byTask[id]
		if len(of) == 0 {
			h.violation("task %d was never executed", id)
			continue
		}
		last := of[len(of)-1]
		ended := 0
		for _, e := range of {
			if e.outcome == journal.Done || e.outcome == journal.Retry {
				ended++
			}
		}
		switch {
		case last.outcome != journal.Done:
			h.violation("finished, but not by its last execution: %s", last)
		// The database's moments have six digits.
		case r.finished.Before(last.end.Truncate(time.Microsecond)):
			h.violation("finished at %s, before the end of %s", r.finished.Format("05.000"), last)
		case r.claims < len(of):
			h.violation("task %d was executed %d times with %d claims", id, len(of), r.claims)
		case r.attempts < 1 || r.attempts > ended:
			h.violation("task %d counts %d attempts, but %d executions came to an end", id, r.attempts, ended)
		}
	}
}

// checkAlone sees that no two executions of a key overlap, those of one task least of all, unless the first one is deaf.
func (h *history) checkAlone(key string, of []*execution) {
	for i := 1; i < len(of); i++ {
		if !of[i-1].silent() && of[i].begin.Before(of[i-1].end) {
			h.violation("%s overlaps: %s; %s", key, of[i-1], of[i])
		}
	}
}

// checkOrder sees that whenever a task began, every earlier one of its key had been done for good, or was parked.
func (h *history) checkOrder(key string, of []*execution) {
	final := map[int]*execution{}
	for _, e := range of {
		final[e.seq] = e
	}
	last := map[int]*execution{}
	for _, e := range of {
		for seq := 1; seq < e.seq; seq++ {
			before, begun := last[seq]
			switch {
			case !begun:
				h.violation("%s: number %d was not begun before %s", key, seq, e)
			case before.outcome == journal.Parked:
			case before.outcome != journal.Done || before != final[seq]:
				h.violation("%s: number %d was not done before %s", key, seq, e)
			}
		}
		last[e.seq] = e
	}
}

// repeated returns how many executions there were beyond one for each task.
func (h *history) repeated() int { return len(h.executions) - len(h.rows) }

// outcomes counts the executions by how they ended.
func (h *history) outcomes() string {
	counts := map[journal.Outcome]int{}
	for _, e := range h.executions {
		counts[e.outcome]++
	}
	var words []string
	for outcome, n := range counts {
		words = append(words, fmt.Sprintf("%d %s", n, outcome))
	}
	slices.SortFunc(words, cmp.Compare[string])
	return strings.Join(words, ", ")
}
