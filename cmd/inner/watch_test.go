package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sys/unix"

	"app238.com/inner/test/terminal"
)

func TestWatchShowsTheFirstRowsOfLongList(t *testing.T) {
	t.Parallel()
	p := setup(t)
	running := p.insert(t, "worker.deploy_worker", "processing", "{}")
	_, err := p.db.ExecContext(t.Context(), `UPDATE console_tasks SET claimed_by = 'p' WHERE id = $1`, running)
	require.NoError(t, err)
	_, err = p.db.ExecContext(t.Context(), `INSERT INTO inner_processes (id, host, running_tasks) VALUES ('p', 'pod-1', $1)`,
		fmt.Sprintf(",%d,", running))
	require.NoError(t, err)
	_, err = p.db.ExecContext(t.Context(), `INSERT INTO console_tasks (task_type, task_status, task_info, ordering_key)
		SELECT 'x', 'pending', '{}', 'key-' || n FROM generate_series(1, 50) n`)
	require.NoError(t, err)
	const rows = 24
	s := terminal.StartRows(t, rows, p.command(t, "tasks", "list", "--watch"))
	s.Await(0, `(?s)more lines.*more lines`) // two readings
	visible, _ := s.Rows()
	require.Contains(t, visible[0], "TASK")
	require.Regexp(t, fmt.Sprintf(`^%d +worker\.deploy_worker +running`, running), visible[1])
	// A header, 50 tasks and the way to the next page are 52 lines.
	require.Equal(t, "… 30 more lines", visible[rows-2])
	require.Empty(t, visible[rows-1])
	require.NotContains(t, s.Text(), "\x1b[3J", "what was scrolled away is the user's")
	s.Press("\x03")
	require.NoError(t, s.Wait())
}

func TestTextIsCutToTheScreen(t *testing.T) {
	t.Parallel()
	text := "\x1b[31m1234567890\x1b[0m\n\n1234567890123\n4\n"
	for height, want := range map[int]string{
		0: text, 6: text, 5: "\x1b[31m1234567890\x1b[0m\n\n… 2 more lines\n", 3: "\x1b[31m1234567890\x1b[0m\n… 3 more lines\n",
		2: "… 4 more lines\n", 1: "… 4 more lines\n",
	} {
		require.Equal(t, want, cutToScreen(text, 10, height), height)
	}
	require.Equal(t, 2, rowsOf("漢字漢字漢字", 10))
}

// watched runs a command with --watch, whose readings are those of read until it returns io.EOF, on an output.
func watched(t *testing.T, out, messages io.Writer, format string, read func(n int) (any, error)) error {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	root := &cobra.Command{Use: "root", SilenceErrors: true, SilenceUsage: true}
	var output outputFormat
	addOutputFlag(root, &output)
	cmd := &cobra.Command{Use: "show"}
	root.AddCommand(cmd)
	w := addWatchFlag(cmd)
	n := 0
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return w.run(ctx, cmd, func() (func() error, error) {
			n++
			result, err := read(n)
			if errors.Is(err, io.EOF) {
				stop()
			}
			return func() error {
				return output.write(cmd, result, func(tab *table) { tab.field("Value", result) })
			}, err
		})
	}
	root.SetOut(out)
	root.SetErr(messages)
	root.SetArgs([]string{"show", "--watch", "-o", format})
	return root.ExecuteContext(ctx)
}

func TestWatchWritesDocumentsApart(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"yaml", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			require.NoError(t, watched(t, &out, io.Discard, format, func(n int) (any, error) {
				if n > 2 {
					return nil, io.EOF
				}
				return map[string]int{"reading": n}, nil
			}))
			decode := json.NewDecoder(&out).Decode
			if format == "yaml" {
				decode = yaml.NewDecoder(&out).Decode
			}
			for n := range 2 {
				var document map[string]int
				require.NoError(t, decode(&document))
				require.Equal(t, map[string]int{"reading": n + 1}, document)
			}
			require.ErrorIs(t, decode(new(any)), io.EOF)
		})
	}
}

func TestWatchGoesOnAfterFailedReading(t *testing.T) {
	t.Parallel()
	read := func(n int) (any, error) {
		switch n {
		case 2:
			return nil, errors.New("the database is away\x1b[2J")
		case 4:
			return nil, io.EOF
		}
		return fmt.Sprint("reading ", n), nil
	}
	t.Run("output", func(t *testing.T) {
		t.Parallel()
		var out, messages strings.Builder
		require.NoError(t, watched(t, &out, &messages, "table", read))
		require.Equal(t, "Value  reading 1\n\nValue  reading 3\n\n", out.String())
		require.Equal(t, "inner: the database is away[2J\n", messages.String())
	})
	t.Run("terminal", func(t *testing.T) {
		t.Parallel()
		user, tty := terminal.Open(t)
		require.NoError(t, unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
		require.NoError(t, watched(t, tty, tty, "table", read))
		shown := strings.Split(readUntil(t, user, "reading 3\r\n"), clearScreen)
		require.Len(t, shown, 4)
		require.Equal(t, "Value  reading 1\r\n", shown[1])
		require.Regexp(t, `^Problem  the database is away \[2J *\r\n$`, shown[2])
		require.Equal(t, "Value  reading 3\r\n", shown[3])
	})
}

// readUntil returns what is written to a terminal up to a text.
func readUntil(t *testing.T, user *os.File, end string) string {
	t.Helper()
	var all strings.Builder
	buffer := make([]byte, 4096)
	for !strings.Contains(all.String(), end) {
		n, err := user.Read(buffer)
		require.NoError(t, err)
		all.Write(buffer[:n])
	}
	return all.String()
}

func TestWatchEndsWithErrorOfFirstReading(t *testing.T) {
	t.Parallel()
	refused := errors.New("wrong password")
	require.ErrorIs(t, watched(t, io.Discard, io.Discard, "table", func(int) (any, error) { return nil, refused }), refused)
}
