package main

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"app238.com/inner/modules/tasks/job"
)

const (
	// Texts of the last line.
	topKeys    = "↑↓ select   enter open   p pause   q quit"
	openedKeys = "↑↓ scroll   esc back   q quit"
	// notRead stands for a part that has not been read yet.
	notRead = "not read yet"
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
	if problems := render(m.width, m.problemFields); problems[0] != "" {
		lines = append(append(lines, problems...), "")
	}
	lines = append(lines, render(m.width, m.summary)...)
	sections := []func(*table, int){m.runningTasks, m.failingWorkers, m.failingDomains}
	rooms := share(m.height-1-len(lines)-2*len(sections),
		len(m.last[queuePart].activity.Running), len(m.last[workersPart].workers.Workers), len(m.last[domainsPart].domains))
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

// clock is the time of the newest reading.
func (m *topModel) clock() string {
	var newest time.Time
	for _, r := range m.last {
		if r.at.After(newest) {
			newest = r.at
		}
	}
	switch {
	case newest.IsZero():
		return "reading…"
	case m.paused:
		return clockOf(newest) + ", paused"
	}
	return clockOf(newest)
}

func clockOf(at time.Time) string { return at.UTC().Format(time.TimeOnly) + " UTC" }

// problemFields names the parts that could not be read, except the leader, which has a field of its own in the summary.
func (m *topModel) problemFields(t *table) {
	for p := range leaderPart {
		text := m.problems[p]
		if text == "" {
			continue
		}
		text = p.String() + ": " + text
		if at := m.last[p].at; !at.IsZero() {
			text += "; shown as of " + clockOf(at)
		}
		t.field("Problem", text)
	}
}

func (m *topModel) summary(t *table) {
	if m.last[queuePart].at.IsZero() {
		t.field("Tasks", notRead)
	} else {
		m.queue(t, m.last[queuePart].activity)
	}
	leader := m.last[leaderPart]
	switch {
	case m.problems[leaderPart] != "":
		t.field("Leader", "unknown: "+m.problems[leaderPart])
	case leader.at.IsZero():
		t.field("Leader", notRead)
	case leader.leader == "":
		t.field("Leader", "none: no process runs the controller")
	}
	if text := m.last[workersPart].workers.ClusterError; text != "" && text != m.problems[leaderPart] {
		t.field("Pods", "not counted: "+text)
	}
}

func (m *topModel) queue(t *table, a job.Activity) {
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
		if m.problems[leaderPart] == "" && p.Host == m.last[leaderPart].leader {
			text += ", leader"
		}
		t.field("Replica", text)
	}
	if len(a.Processes) == 0 {
		t.field("Replica", status("none: no process runs tasks"))
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
	tasks := m.last[queuePart].activity.Running
	at := func(i int) item { return item{kind: taskItem, task: tasks[i].ID} }
	t.header(kept(" "), kept("RUNNING"), "TYPE", kept("TRIES"), kept("SINCE"), "KEY")
	for from, to := m.window(len(tasks), room, at); from < to; from++ {
		task := tasks[from]
		t.row(m.mark(at(from)), task.ID, task.Type, task.Attempts+1, agoPointer(task.StartedAt), task.OrderingKey)
	}
	m.none(t, queuePart, len(tasks))
}

func (m *topModel) failingWorkers(t *table, room int) {
	workers := m.last[workersPart].workers.Workers
	at := func(i int) item { return item{kind: workerItem, id: workers[i].WorkerID} }
	t.header(kept(" "), kept("FAILING WORKER"), "USER", kept("STATUS"), kept("READY"), "MESSAGE")
	for from, to := m.window(len(workers), room, at); from < to; from++ {
		w := workers[from]
		t.row(m.mark(at(from)), w.WorkerID, w.UserUID, status(w.Status), readyOf(w), w.Message)
	}
	m.none(t, workersPart, len(workers))
}

func (m *topModel) failingDomains(t *table, room int) {
	domains := m.last[domainsPart].domains
	at := func(i int) item { return item{kind: domainItem, id: domains[i].CDID} }
	t.header(kept(" "), kept("FAILING DOMAIN"), "USER", kept("STATE"), "LAST RESULT")
	for from, to := m.window(len(domains), room, at); from < to; from++ {
		d := domains[from]
		t.row(m.mark(at(from)), d.Domain, d.UserUID, status(d.State), d.Detail)
	}
	m.none(t, domainsPart, len(domains))
}

// none says why a section of a part has no rows.
func (m *topModel) none(t *table, p part, n int) {
	switch {
	case m.last[p].at.IsZero():
		t.row(" ", notRead)
	case n == 0:
		t.row(" ", "none")
	}
}
