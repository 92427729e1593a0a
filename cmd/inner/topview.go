package main

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Texts of the last line.
const (
	topKeys    = "↑↓ select   enter open   p pause   q quit"
	openedKeys = "↑↓ scroll   esc back   q quit"
)

// View implements tea.Model.
func (m *topModel) View() tea.View {
	view := tea.View{AltScreen: true, WindowTitle: "inner top"}
	if m.width == 0 {
		return view
	}
	lines, keys := m.lines(), topKeys
	if m.opened != nil {
		lines, keys = m.opened[m.offset:], openedKeys
	}
	room := max(m.height-1, 0)
	lines = append([]string{}, lines[:min(len(lines), room)]...)
	for len(lines) < room {
		lines = append(lines, "")
	}
	view.SetContent(strings.Join(append(lines, dim(shorten(keys, m.width))), "\n"))
	return view
}

func dim(text string) string  { return "\x1b[2m" + text + "\x1b[0m" }
func bold(text string) string { return "\x1b[1m" + text + "\x1b[0m" }

// lines are those of the whole platform.
func (m *topModel) lines() []string {
	const title = "inner top"
	lines := []string{bold(title) + "  " + shorten(m.clock(), max(m.width-len(title)-2, 0)), ""}
	if m.problem != "" {
		lines = append(lines, render(m.width, func(t *table) { t.field("Problem", m.problem) })...)
		lines = append(lines, "")
	}
	if m.last.at.IsZero() {
		return lines
	}
	lines = append(lines, render(m.width, m.summary)...)
	sections := []func(*table, int){m.runningTasks, m.failingWorkers, m.failingDomains}
	rooms := share(m.height-1-len(lines)-2*len(sections),
		len(m.last.activity.Running), len(m.last.workers), len(m.last.domains))
	for i, section := range sections {
		lines = append(lines, "")
		lines = append(lines, render(m.width, func(t *table) { section(t, rooms[i]) })...)
	}
	return lines
}

// share divides lines among sections with n lines each: every one gets a line at least, and in turn what it needs.
func share(lines int, n ...int) []int {
	rooms := make([]int, len(n))
	for i := range rooms {
		rooms[i] = 1
		lines--
	}
	for given := true; given; {
		given = false
		for i := range rooms {
			if lines > 0 && rooms[i] < n[i] {
				rooms[i]++
				lines--
				given = true
			}
		}
	}
	return rooms
}

func (m *topModel) clock() string {
	switch {
	case m.last.at.IsZero():
		return "reading…"
	case m.paused:
		return m.last.at.UTC().Format(time.TimeOnly) + " UTC, paused"
	}
	return m.last.at.UTC().Format(time.TimeOnly) + " UTC"
}

func (m *topModel) summary(t *table) {
	a := m.last.activity
	t.field("Tasks", fmt.Sprintf("%s accepted, %s ended; %d pending, %d processing, %d waiting",
		rate(m.accepted), rate(m.ended), a.Pending, a.Processing, a.Waiting))
	lanes := make([]string, len(a.Lanes))
	for i, l := range a.Lanes {
		oldest := short(time.Duration(l.Oldest * float64(time.Second)))
		lanes[i] = fmt.Sprintf("%s %d pending, the oldest for %s", l.Lane, l.Pending, oldest)
	}
	if len(lanes) == 0 {
		lanes = []string{"nothing is pending"}
	}
	t.field("Lanes", strings.Join(lanes, "; "))
	for _, p := range a.Processes {
		text := fmt.Sprintf("%s: %d running, %d claimed, heartbeat %s ago", p.Host, p.Running, p.Claimed-p.Running,
			short(time.Duration(p.HeartbeatAge*float64(time.Second))))
		if p.Host == m.last.leader {
			text += ", leader"
		}
		t.field("Replica", text)
	}
	if len(a.Processes) == 0 {
		t.field("Replica", status("none: no process runs tasks"))
	}
	switch {
	case m.last.leaderError != "":
		t.field("Leader", "unknown: "+m.last.leaderError)
	case m.last.leader == "":
		t.field("Leader", "none: no process runs the controller")
	}
}

// rate writes tasks a second.
func rate(n float64) string {
	if n < 0 {
		return "-/s"
	}
	return fmt.Sprintf("%.1f/s", n)
}

// mark is the first cell of a line that can be opened.
func (m *topModel) mark(it item) string {
	all := m.items()
	if len(all) > 0 && all[m.cursor(all)] == it {
		return "▸"
	}
	return " "
}

// window returns which of n lines are shown in a room, around the selected one.
func (m *topModel) window(n, room int, at func(i int) item) (from, to int) {
	all := m.items()
	for i := range n {
		if len(all) > 0 && all[m.cursor(all)] == at(i) && i >= room {
			from = i - room + 1
		}
	}
	return from, min(from+room, n)
}

func (m *topModel) runningTasks(t *table, room int) {
	tasks := m.last.activity.Running
	at := func(i int) item { return item{kind: taskItem, task: tasks[i].ID} }
	t.header(kept(" "), kept("RUNNING"), "TYPE", kept("TRIES"), kept("SINCE"), "KEY")
	for from, to := m.window(len(tasks), room, at); from < to; from++ {
		task := tasks[from]
		t.row(m.mark(at(from)), task.ID, task.Type, task.Attempts+1, agoPointer(task.StartedAt), task.OrderingKey)
	}
	none(t, len(tasks))
}

func (m *topModel) failingWorkers(t *table, room int) {
	workers := m.last.workers
	at := func(i int) item { return item{kind: workerItem, id: workers[i].WorkerID} }
	t.header(kept(" "), kept("FAILING WORKER"), "USER", kept("STATUS"), kept("READY"), "MESSAGE")
	for from, to := m.window(len(workers), room, at); from < to; from++ {
		w := workers[from]
		t.row(m.mark(at(from)), w.WorkerID, w.UserUID, status(w.Status), readyOf(w), w.Message)
	}
	none(t, len(workers))
}

func (m *topModel) failingDomains(t *table, room int) {
	domains := m.last.domains
	at := func(i int) item { return item{kind: domainItem, id: domains[i].CDID} }
	t.header(kept(" "), kept("FAILING DOMAIN"), "USER", kept("STATE"), "LAST RESULT")
	for from, to := m.window(len(domains), room, at); from < to; from++ {
		d := domains[from]
		t.row(m.mark(at(from)), d.Domain, d.UserUID, status(d.State), d.Detail)
	}
	none(t, len(domains))
}

func none(t *table, n int) {
	if n == 0 {
		t.row(" ", "none")
	}
}
