package main

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// itemKind is the kind of a line that can be opened.
type itemKind int

const (
	taskItem itemKind = iota
	workerItem
	domainItem
)

// item is a line that can be opened.
type item struct {
	kind itemKind
	id   string
	task int64
}

// topModel is the state of inner top. It implements tea.Model.
type topModel struct {
	source        *topSource
	width, height int
	paused        bool
	// last are the last readings that succeeded, and problems why the newest ones failed, "" for those that did not.
	last     [parts]reading
	problems [parts]string
	// accepted and ended are the tasks a second, below zero while they are unknown.
	accepted, ended float64
	// selected is the item with the cursor; it stays on it when others come and go.
	selected item
	// opened are the lines of an opened item, nil if none is, and offset the first one shown.
	opened []string
	offset int
}

type (
	// openedMsg has the lines of an opened item.
	openedMsg []string
	// tickMsg is sent when it is time to read the part again.
	tickMsg part
)

// Init implements tea.Model.
func (m *topModel) Init() tea.Cmd {
	var all []tea.Cmd
	for p := range parts {
		all = append(all, m.read(p))
	}
	return tea.Batch(all...)
}

func (m *topModel) read(p part) tea.Cmd {
	after := m.last[queuePart].activity.Newest
	return func() tea.Msg { return m.source.read(p, after) }
}

func readLater(p part) tea.Cmd {
	return tea.Tick(topInterval, func(time.Time) tea.Msg { return tickMsg(p) })
}

// Update implements tea.Model.
func (m *topModel) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = message.Width, message.Height
	case reading:
		m.take(message)
		return m, readLater(message.part)
	case tickMsg:
		if m.paused {
			return m, readLater(part(message))
		}
		command := m.read(part(message))
		return m, command
	case openedMsg:
		m.opened, m.offset = message, 0
	case tea.KeyPressMsg:
		command := m.press(message.String())
		return m, command
	}
	return m, nil
}

// take replaces the last reading of a part, unless the new one failed.
func (m *topModel) take(r reading) {
	if m.problems[r.part] = r.problem; r.problem != "" {
		return
	}
	if r.part == queuePart {
		m.computeRates(r)
	}
	m.last[r.part] = r
}

// computeRates compares a reading of the queue with the previous one. The tasks that ended since are those that were accepted
// and are no longer unfinished.
func (m *topModel) computeRates(r reading) {
	m.accepted, m.ended = -1, -1
	last := m.last[queuePart]
	if seconds := r.at.Sub(last.at).Seconds(); !last.at.IsZero() && seconds > 0 {
		accepted := float64(r.activity.Accepted)
		m.accepted = accepted / seconds
		m.ended = max(accepted-float64(r.activity.Unfinished()-last.activity.Unfinished()), 0) / seconds
	}
}

// items are the lines that can be opened, from the top.
func (m *topModel) items() (all []item) {
	for _, t := range m.last[queuePart].activity.Running {
		all = append(all, item{kind: taskItem, task: t.ID})
	}
	for _, w := range m.last[workersPart].workers.Workers {
		all = append(all, item{kind: workerItem, id: w.WorkerID})
	}
	for _, d := range m.last[domainsPart].domains {
		all = append(all, item{kind: domainItem, id: d.CDID})
	}
	return all
}

// cursor returns the place of the selected item among all, the first one if it is gone.
func (m *topModel) cursor(all []item) int {
	for i, it := range all {
		if it == m.selected {
			return i
		}
	}
	return 0
}

func (m *topModel) press(key string) tea.Cmd {
	if key == "ctrl+c" || key == "q" {
		return tea.Quit
	}
	if m.opened != nil {
		m.scroll(key)
		return nil
	}
	all := m.items()
	at := m.cursor(all)
	switch key {
	case "up", "k":
		at--
	case "down", "j":
		at++
	case "p", "space":
		m.paused = !m.paused
	case "enter":
		if at < len(all) {
			chosen, width := all[at], m.width
			return func() tea.Msg {
				return openedMsg(m.source.open(chosen, func(write func(*table)) []string { return render(width, write) }))
			}
		}
	}
	if len(all) > 0 {
		m.selected = all[min(max(at, 0), len(all)-1)]
	}
	return nil
}

// scroll moves in an opened item, or closes it.
func (m *topModel) scroll(key string) {
	page := max(m.height-2, 1)
	switch key {
	case "esc", "left", "backspace":
		m.opened = nil
		return
	case "up", "k":
		m.offset--
	case "down", "j":
		m.offset++
	case "pgup":
		m.offset -= page
	case "pgdown", "space":
		m.offset += page
	}
	m.offset = max(min(m.offset, len(m.opened)-page), 0)
}

// render returns the lines of a table of a width, with colours.
func render(width int, write func(*table)) []string {
	var text strings.Builder
	t := &table{out: &text, coloured: true, width: max(width, 2*minColumn)}
	write(t)
	_ = t.close() // a strings.Builder returns no error
	return strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
}
