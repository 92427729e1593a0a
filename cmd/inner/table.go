package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

const (
	// defaultWidth is the width of tables where the output is no terminal.
	defaultWidth = 80
	// columnGap separates two columns, and minColumn is the width below which no column is cut.
	columnGap, minColumn = 2, 6
)

// table writes sections of aligned columns that fit its width. A text that does not fit its column is cut with "…", and never
// wrapped unless its column is a wrapped one.
type table struct {
	out      io.Writer
	coloured bool
	// width is that of the output, 0 if it has no limit. wide shows the columns of -o wide.
	width int
	wide  bool

	columns []columnKind
	rows    [][]cell
	fields  bool
	err     error
}

// columnKind is how a column is laid out.
type columnKind int

const (
	cutColumn columnKind = iota
	keptColumn
	wrappedColumn
	hiddenColumn
)

// Headers of columns that are not simply cut: a kept column is cut only where all others have been, a wrapped one has as many
// lines as it needs, and a wide one is shown by -o wide alone.
type (
	kept    string
	wrapped string
	wide    string
)

// cell is the text of a cell, and the colour of a state or condition.
type cell struct{ text, colour string }

// status is a cell with a state or condition.
type status string

func newTable(w io.Writer, isWide bool) *table {
	return &table{out: w, coloured: supportsColour(w), width: widthOf(w, isWide), wide: isWide}
}

// widthOf returns the width of a terminal. Other outputs have 80 columns or those of COLUMNS, and no limit with -o wide.
func widthOf(w io.Writer, isWide bool) int {
	if file, ok := terminalOf(w); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return width
		}
	}
	if isWide {
		return 0
	}
	if width, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && width >= 2*minColumn {
		return width
	}
	return defaultWidth
}

// header begins a section with the names of its columns.
func (t *table) header(names ...any) {
	t.flush()
	t.columns = make([]columnKind, len(names))
	for i, name := range names {
		switch name.(type) {
		case kept:
			t.columns[i] = keptColumn
		case wrapped:
			t.columns[i] = wrappedColumn
		case wide:
			if !t.wide {
				t.columns[i] = hiddenColumn
			}
		}
	}
	t.row(names...)
}

// row adds a line to the section.
func (t *table) row(cells ...any) {
	line := make([]cell, 0, len(cells))
	for _, value := range cells {
		line = append(line, cellOf(value))
	}
	t.rows = append(t.rows, line)
}

// field adds a name and its value, which is wrapped, to a section of fields.
func (t *table) field(name string, value any) {
	if !t.fields {
		t.flush()
		t.fields, t.columns = true, []columnKind{keptColumn, wrappedColumn}
	}
	t.row(name, value)
}

// blank ends the section with an empty line.
func (t *table) blank() {
	t.flush()
	t.write("\n")
}

// close writes the last section and returns the first error of a write.
func (t *table) close() error {
	t.flush()
	return t.err
}

func (t *table) write(text string) {
	if t.err == nil {
		_, t.err = io.WriteString(t.out, text)
	}
}

// flush writes the section.
func (t *table) flush() {
	rows, columns := t.rows, t.columns
	t.rows, t.columns, t.fields = nil, nil, false
	if len(rows) == 0 {
		return
	}
	for i, row := range rows {
		shown := row[:0:0]
		for at, c := range row {
			if kindOf(columns, at) != hiddenColumn {
				shown = append(shown, c)
			}
		}
		rows[i] = shown
	}
	columns = slices.DeleteFunc(columns, func(k columnKind) bool { return k == hiddenColumn })
	widths := t.fit(rows, columns)
	for _, row := range rows {
		for _, line := range split(row, widths, columns) {
			t.writeLine(line, widths)
		}
	}
}

func kindOf(columns []columnKind, at int) columnKind {
	if at < len(columns) {
		return columns[at]
	}
	return cutColumn
}

// fit returns the width of each column: that of its longest text, less what does not fit the table. The widest column is cut
// first, and kept ones last.
func (t *table) fit(rows [][]cell, columns []columnKind) []int {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	if t.width == 0 {
		return widths
	}
	excess := (len(widths) - 1) * columnGap
	for _, w := range widths {
		excess += w
	}
	excess -= t.width
	for _, kinds := range [][]columnKind{{wrappedColumn, cutColumn}, {keptColumn, wrappedColumn, cutColumn}} {
		for excess > 0 {
			widest := -1
			for i, w := range widths {
				if slices.Contains(kinds, kindOf(columns, i)) && w > minColumn && (widest < 0 || w > widths[widest]) {
					widest = i
				}
			}
			if widest < 0 {
				break
			}
			widths[widest]--
			excess--
		}
	}
	return widths
}

// split returns the lines of a row: one, unless a wrapped column needs more.
func split(row []cell, widths []int, columns []columnKind) [][]cell {
	lines := [][]cell{make([]cell, len(row))}
	for i, c := range row {
		parts := []string{shorten(c.text, widths[i])}
		if kindOf(columns, i) == wrappedColumn {
			parts = wrap(c.text, widths[i])
		}
		for at, part := range parts {
			if at == len(lines) {
				lines = append(lines, make([]cell, len(row)))
			}
			lines[at][i] = cell{part, c.colour}
		}
	}
	return lines
}

func (t *table) writeLine(line []cell, widths []int) {
	var text strings.Builder
	spaces := 0
	for i, c := range line {
		if c.text != "" {
			text.WriteString(strings.Repeat(" ", spaces) + t.paint(c))
			spaces = 0
		}
		spaces += widths[i] - utf8.RuneCountInString(c.text) + columnGap
	}
	t.write(text.String() + "\n")
}

func (t *table) paint(c cell) string {
	if c.colour == "" || !t.coloured {
		return c.text
	}
	return "\x1b[" + c.colour + "m" + c.text + "\x1b[0m"
}

// cellOf returns the text of a value; that of nothing is "-".
func cellOf(value any) cell {
	colour := ""
	switch v := value.(type) {
	case time.Time:
		value = v.UTC().Format(time.DateTime)
	case *time.Time:
		if v == nil {
			return cell{text: "-"}
		}
		value = v.UTC().Format(time.DateTime)
	case status:
		colour = colourOf(string(v))
	}
	text := printable(fmt.Sprint(value))
	if text == "" {
		text = "-"
	}
	return cell{text, colour}
}

func colourOf(status string) string {
	switch status {
	case "finished", "success", "ok", "active", "verified", "Running":
		return "32"
	case "error", "down", "failing", "refused", "Failed":
		return "31"
	case "processing", "running":
		return "36"
	case "waiting", "degraded", "loading", "claimed", "Deploying":
		return "33"
	case "superseded", "cancelled":
		return "35"
	}
	return ""
}

// supportsColour tells whether w is a terminal and colours are not disabled by NO_COLOR or TERM.
func supportsColour(w io.Writer) bool {
	_, ok := terminalOf(w)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
