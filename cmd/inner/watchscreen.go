package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// clearScreen clears what is visible. It leaves what was scrolled away.
const clearScreen = "\x1b[H\x1b[J"

// colours are the control sequences that a table writes.
var colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// screen is a terminal on which each output of --watch replaces the previous one. As a writer it holds an output back, so that
// the terminal's height is known to suffice.
type screen struct {
	bytes.Buffer
	cmd   *cobra.Command
	file  *os.File
	begun bool
}

// terminalOf returns the terminal that is written to, if it is one.
func terminalOf(w io.Writer) (file *os.File, ok bool) {
	switch w := w.(type) {
	case *os.File:
		file = w
	case *screen:
		file = w.file
	default:
		return nil, false
	}
	return file, term.IsTerminal(int(file.Fd()))
}

// show replaces the previous output, messages beside it included.
func (s *screen) show(write func() error) error {
	out, messages := s.cmd.OutOrStdout(), s.cmd.ErrOrStderr()
	s.Reset()
	s.cmd.SetOut(s)
	if _, ok := terminalOf(messages); ok {
		s.cmd.SetErr(s)
	}
	err := write()
	s.cmd.SetOut(out)
	s.cmd.SetErr(messages)
	if err != nil {
		return err
	}
	width, height, err := term.GetSize(int(s.file.Fd()))
	if err != nil {
		return err
	}
	begin := clearScreen
	if !s.begun { // what was on the screen goes to what can be scrolled back to
		begin = strings.Repeat("\n", max(height-1, 0)) + begin
	}
	s.begun = true
	_, err = s.file.WriteString(begin + cutToScreen(s.String(), width, height))
	return err
}

// problem shows it in place of an output.
func (s *screen) problem(text string) error {
	return s.show(func() error {
		t := newTable(s, false)
		t.field("Problem", text)
		return t.close()
	})
}

// cutToScreen returns the first lines of a text that a screen has room for, and how many are left out. The cursor needs the last
// row. A screen that does not know its size has room for all.
func cutToScreen(text string, width, height int) string {
	if width <= 0 || height <= 0 {
		return text
	}
	room := max(height-1, 1)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	rows, kept := 0, 0
	for _, line := range lines {
		rows += rowsOf(line, width)
		if rows < room { // with it there is room for the line that counts the others
			kept++
		}
	}
	if rows <= room {
		return text
	}
	return strings.Join(append(lines[:kept:kept], fmt.Sprintf("… %d more lines\n", len(lines)-kept)), "\n")
}

// rowsOf returns the rows of a screen that a line takes.
func rowsOf(line string, width int) int {
	cells := 0
	for _, r := range colours.ReplaceAllString(line, "") {
		cells++
		if r >= firstWide {
			cells++
		}
	}
	return max((cells+width-1)/width, 1)
}

// firstWide is the first of the characters that may take two cells: those of Chinese, Japanese and Korean, and pictures.
const firstWide = '\u2e80'
