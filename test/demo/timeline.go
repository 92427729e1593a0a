package main

import (
	"fmt"
	"time"
)

// absent is the state of what does not exist.
const absent = "-"

// timeline shows what changes, when it does.
type timeline struct {
	begin  time.Time
	screen *screen
	seen   map[string]string
	width  int
}

func newTimeline(s *screen, width int) *timeline {
	t := &timeline{begin: time.Now(), screen: s, seen: map[string]string{}, width: width}
	s.line("%s", s.paint(faint, fmt.Sprintf("  %9s  %-*s  %s", "elapsed", t.width, "what", "state")))
	return t
}

// show writes a line for each fact that is news.
func (t *timeline) show(facts ...fact) {
	for _, f := range facts {
		before, known := t.seen[f.what]
		t.seen[f.what] = f.state
		if before == f.state || !known && f.state == absent {
			continue
		}
		if f.state == absent {
			f.state = "gone"
		}
		elapsed := t.screen.paint(faint, fmt.Sprintf("%7.2f s", time.Since(t.begin).Seconds()))
		t.screen.line("  %s  %-*s  %s", elapsed, t.width, f.what, t.screen.paint(f.mood, f.state))
	}
}
