package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"app238.com/inner/test/terminal"
)

// open opens a file until the test ends.
func open(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOCTTY, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	return file
}

func TestColoursAreForTerminalsOnly(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	_, tty := terminal.Open(t)
	require.True(t, supportsColour(tty))
	require.False(t, supportsColour(open(t, filepath.Join(t.TempDir(), "file"))))
	require.False(t, supportsColour(open(t, "/dev/null")), "a device that is no terminal")
	t.Setenv("TERM", "dumb")
	require.False(t, supportsColour(tty))
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	require.False(t, supportsColour(tty))
}

func TestCellsArePrintableAndColumnsAligned(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	tab := newTable(&out, false)
	require.False(t, tab.coloured, "not a terminal")
	tab.coloured = true
	tab.header("STATUS", "NEXT")
	tab.row(status("error"), "a\x1b[2J\tb\nc")
	tab.row(status("superseded"), time.Time{})
	require.NoError(t, tab.close())
	require.NotContains(t, out.String(), "\x1b[2J")
	require.Contains(t, out.String(), "\x1b[31merror\x1b[0m")
	plain := regexp.MustCompile(`\x1b\[\d+m`).ReplaceAllString(out.String(), "")
	lines := strings.Split(plain, "\n")
	require.Equal(t, strings.Index(lines[0], "NEXT"), strings.Index(lines[1], "a [2J b c"))
	require.Equal(t, strings.Index(lines[0], "NEXT"), strings.Index(lines[2], "0001-"))
}

// lines returns what a table of a width writes.
func linesOf(t *testing.T, width int, isWide bool, write func(*table)) []string {
	t.Helper()
	var out strings.Builder
	tab := newTable(&out, isWide)
	tab.width = width
	write(tab)
	require.NoError(t, tab.close())
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestTableFitsItsWidth(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("reason ", 30)
	list := func(tab *table) {
		tab.header(kept("ID"), "NAME", wide("LANE"), "DETAILS")
		tab.row(12345678901234, "worker.deploy_worker", "default", long)
		tab.row(1, "x", "y", "short")
	}
	for width := 40; width < 300; width += 13 {
		for _, line := range linesOf(t, width, false, list) {
			require.LessOrEqual(t, utf8.RuneCountInString(line), width, line)
		}
	}
	at80 := linesOf(t, 80, false, list)
	require.Len(t, at80, 3, "nothing is wrapped")
	require.NotContains(t, at80[0], "LANE")
	require.Contains(t, at80[1], "12345678901234  worker.deploy_worker  reason ")
	require.True(t, strings.HasSuffix(at80[1], "…"), at80[1])
	require.Equal(t, 80, utf8.RuneCountInString(at80[1]), "it uses the width there is: %q", at80[1])
	require.Contains(t, linesOf(t, 0, true, list)[1], "default  "+strings.TrimSpace(long))

	screen := linesOf(t, 40, false, func(tab *table) {
		tab.field("Name", "short")
		tab.field("Problem", strings.TrimSpace(strings.Repeat("one two ", 8))+" "+strings.Repeat("x", 50))
	})
	for _, line := range screen {
		require.LessOrEqual(t, len(line), 40, line)
	}
	require.Equal(t, "Name     short", screen[0])
	require.Equal(t, "Problem  one two one two one two one two", strings.TrimRight(screen[1], " "))
	require.Equal(t, "         one two one two one two one two", screen[2])
	require.Equal(t, 50, strings.Count(strings.Join(screen, ""), "x"), "nothing is cut")
}

func TestWidthIsThatOfTheTerminal(t *testing.T) {
	t.Setenv("COLUMNS", "")
	require.Equal(t, 80, widthOf(&strings.Builder{}, false))
	require.Zero(t, widthOf(&strings.Builder{}, true))
	t.Setenv("COLUMNS", "132")
	require.Equal(t, 132, widthOf(&strings.Builder{}, false))
	_, tty := terminal.Open(t)
	require.NoError(t, unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 97}))
	require.Equal(t, 97, widthOf(tty, false))
	require.Equal(t, 97, widthOf(tty, true))
}

func TestWatchRepeatsUntilInterrupted(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var out strings.Builder
	cmd := &cobra.Command{}
	cmd.SetOut(&out)
	w := addWatchFlag(cmd)
	w.enabled = true
	n := 0
	require.NoError(t, w.run(ctx, cmd, func() (func() error, error) {
		if n++; n == 2 {
			stop()
			return nil, ctx.Err()
		}
		return func() error { _, err := fmt.Fprintln(&out, "shown"); return err }, nil
	}))
	require.Equal(t, "shown\n\n", out.String())
}

func TestAgesAreShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 5 * time.Second: "5s", 99 * time.Second: "99s", 125 * time.Second: "2m5s", time.Hour: "60m",
		30 * time.Hour: "30h", 73 * time.Hour: "3d",
	} {
		require.Equal(t, want, short(d))
	}
}
