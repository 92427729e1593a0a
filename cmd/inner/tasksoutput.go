package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// outputFormat is how results are written.
type outputFormat string

const (
	tableFormat outputFormat = "table"
	jsonFormat  outputFormat = "json"
)

var formats = []string{string(tableFormat), string(jsonFormat)}

// String implements pflag.Value.
func (f *outputFormat) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *outputFormat) Type() string { return "format" }

// Set implements pflag.Value.
func (f *outputFormat) Set(value string) error {
	if !slices.Contains(formats, value) {
		return fmt.Errorf("must be %s", strings.Join(formats, " or "))
	}
	*f = outputFormat(value)
	return nil
}

// write writes a result: as one JSON document, or by table.
func (f *outputFormat) write(cmd *cobra.Command, result any, table func(*table)) error {
	if *f == jsonFormat {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(result)
	}
	t := newTable(cmd.OutOrStdout())
	table(t)
	return t.tabs.Flush()
}

// table writes aligned columns.
type table struct {
	tabs     *tabwriter.Writer
	coloured bool
}

func newTable(w io.Writer) *table {
	return &table{tabs: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), coloured: takesColour(w)}
}

// status is a cell whose text is the state of a task, and plain one of the same column that is not.
type (
	status string
	plain  string
)

// row writes one line. A failed write shows when the table is flushed.
func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = t.cell(cell)
	}
	_, _ = fmt.Fprintln(t.tabs, strings.TrimRight(strings.Join(texts, "\t"), "\t "))
}

// blank writes an empty line, after which columns have widths of their own.
func (t *table) blank() { _, _ = fmt.Fprintln(t.tabs) }

// cell returns the text of a cell.
func (t *table) cell(value any) string {
	colour := ""
	switch v := value.(type) {
	case time.Time:
		return v.UTC().Format(time.DateTime)
	case *time.Time:
		if v == nil {
			return "-"
		}
		return v.UTC().Format(time.DateTime)
	case status:
		colour = colourOf(string(v))
	case plain:
		colour = noColour
	}
	text := printable(fmt.Sprint(value))
	if text == "" {
		text = "-"
	}
	if colour == "" || !t.coloured {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// Colours are all as long, and every cell of a coloured column has one, so that the columns stay aligned.
const noColour = "39"

func colourOf(status string) string {
	switch status {
	case "finished", "success":
		return "32"
	case "error":
		return "31"
	case "processing":
		return "36"
	case "waiting":
		return "33"
	case "superseded", "cancelled":
		return "35"
	}
	return noColour
}

// takesColour tells whether w is a terminal whose user has not asked for text without colours.
func takesColour(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printable returns a text on one line, without characters that would steer a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

// shorten cuts a text for a list.
func shorten(text string, length int) string {
	if runes := []rune(text); len(runes) > length {
		return string(runes[:length-1]) + "…"
	}
	return text
}
