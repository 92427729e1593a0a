package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// mood is how a text is painted on a terminal.
type mood string

const (
	plain mood = ""
	good  mood = "32"
	bad   mood = "31"
	faint mood = "2"
	title mood = "1"
)

// screen is what the user reads. Its methods may be called from several goroutines.
type screen struct {
	begin  time.Time
	broken func(error) // called when nothing can be written any more
	colour bool

	mu  sync.Mutex
	out io.Writer
}

func newScreen(out *os.File, broken func(error)) *screen {
	return &screen{begin: time.Now(), broken: broken, colour: isTerminal(out), out: out}
}

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// line writes one line.
func (s *screen) line(format string, arguments ...any) {
	text := fmt.Sprintf(format, arguments...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := fmt.Fprintln(s.out, text); err != nil {
		s.broken(fmt.Errorf("write the output: %w", err))
	}
}

// step writes one line about the start of the demonstration, with the time since the program began.
func (s *screen) step(what, format string, arguments ...any) {
	since := s.paint(faint, fmt.Sprintf("[%6.1f s]", time.Since(s.begin).Seconds()))
	s.line("%s %-14s %s", since, what, fmt.Sprintf(format, arguments...))
}

// heading writes a line that begins a part.
func (s *screen) heading(format string, arguments ...any) {
	s.line("")
	s.line("%s", s.paint(title, fmt.Sprintf(format, arguments...)))
}

func (s *screen) paint(m mood, text string) string {
	if !s.colour || m == plain {
		return text
	}
	return "\x1b[" + string(m) + "m" + text + "\x1b[0m"
}

// progress takes the lines that the test stack writes while it builds and installs.
type progress struct{ screen *screen }

// Write shows whole lines as steps.
func (p progress) Write(data []byte) (int, error) {
	for text := range strings.Lines(string(data)) {
		p.screen.step("", "%s", strings.TrimPrefix(strings.TrimRight(text, "\n"), "stack: "))
	}
	return len(data), nil
}
