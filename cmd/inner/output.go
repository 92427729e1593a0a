package main

import (
	"bytes"
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
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
)

// outputFormat is the format of results.
type outputFormat string

const (
	tableFormat outputFormat = "table"
	jsonFormat  outputFormat = "json"
	yamlFormat  outputFormat = "yaml"
)

var formats = []string{string(tableFormat), string(jsonFormat), string(yamlFormat)}

// addOutputFlag defines -o on cmd and on the commands below it.
func addOutputFlag(cmd *cobra.Command, format *outputFormat) {
	*format = tableFormat
	cmd.PersistentFlags().VarP(format, "output", "o", strings.Join(formats, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

// String implements pflag.Value.
func (f *outputFormat) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *outputFormat) Type() string { return "format" }

// Set implements pflag.Value.
func (f *outputFormat) Set(value string) error {
	if !slices.Contains(formats, value) {
		return fmt.Errorf("must be %s", strings.Join(formats, ", "))
	}
	*f = outputFormat(value)
	return nil
}

// write writes a result as one JSON or YAML document with the same fields, or as a table.
func (f *outputFormat) write(cmd *cobra.Command, result any, table func(*table)) error {
	switch *f {
	case jsonFormat:
		return writeJSON(cmd.OutOrStdout(), result)
	case yamlFormat:
		return writeYAML(cmd.OutOrStdout(), result)
	case tableFormat:
	}
	t := newTable(cmd.OutOrStdout())
	table(t)
	return t.tabs.Flush()
}

func writeJSON(w io.Writer, result any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(result)
}

// writeYAML converts the JSON document, so that names and order of the fields are the same.
func writeYAML(w io.Writer, result any) error {
	var document bytes.Buffer
	if err := writeJSON(&document, result); err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(document.Bytes(), &node); err != nil {
		return err
	}
	plainStyle(&node)
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	return encoder.Encode(&node)
}

// plainStyle removes the style of JSON, braces and quotes; the encoder adds quotes where they are needed.
func plainStyle(node *yaml.Node) {
	node.Style = 0
	for _, child := range node.Content {
		plainStyle(child)
	}
}

// table writes aligned columns.
type table struct {
	tabs     *tabwriter.Writer
	coloured bool
}

func newTable(w io.Writer) *table {
	return &table{tabs: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), coloured: supportsColour(w)}
}

// status is a coloured cell with a state or condition, and plain another cell of the same column.
type (
	status string
	plain  string
)

// row writes one line. Flush returns the error of a failed write.
func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = t.cell(cell)
	}
	_, _ = fmt.Fprintln(t.tabs, strings.TrimRight(strings.Join(texts, "\t"), "\t "))
}

// blank writes an empty line; the columns after it have their own widths.
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

// noColour keeps columns aligned: all colours have the same length, and every cell of a coloured column has one.
const noColour = "39"

func colourOf(status string) string {
	switch status {
	case "finished", "success", "ok":
		return "32"
	case "error", "down":
		return "31"
	case "processing":
		return "36"
	case "waiting", "degraded":
		return "33"
	case "superseded", "cancelled":
		return "35"
	}
	return noColour
}

// supportsColour tells whether w is a terminal and colours are not disabled by NO_COLOR or TERM.
func supportsColour(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	return term.IsTerminal(int(file.Fd()))
}

// printable returns a text on one line, without control characters.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

// shorten cuts a text to a length in characters.
func shorten(text string, length int) string {
	if runes := []rune(text); len(runes) > length {
		return string(runes[:length-1]) + "…"
	}
	return text
}
