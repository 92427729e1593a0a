// Package terminal runs programs on a pseudo-terminal, for tests.
package terminal

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Columns is the width of a pseudo-terminal.
const Columns = 80

// Screen is a program on a pseudo-terminal, and all that it has written.
type Screen struct {
	t       testing.TB
	user    *os.File
	command *exec.Cmd
	rows    int

	mu      sync.Mutex
	written strings.Builder
}

// Start starts a command on a pseudo-terminal of 30 rows, until the test ends.
func Start(t testing.TB, command *exec.Cmd) *Screen {
	t.Helper()
	return StartRows(t, 30, command)
}

// StartRows is Start with another number of rows.
func StartRows(t testing.TB, rows int, command *exec.Cmd) *Screen {
	t.Helper()
	user, tty := Open(t)
	require.NoError(t, unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: Columns}))
	s := &Screen{t: t, user: user, command: command, rows: rows}
	if command.Env == nil {
		command.Env = os.Environ()
	}
	command.Env = append(command.Env, "TERM=xterm-256color")
	command.Stdin, command.Stdout, command.Stderr = tty, tty, tty
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, command.Start())
	t.Cleanup(func() { _ = command.Process.Kill() })
	go s.record()
	return s
}

// record ends with the terminal.
func (s *Screen) record() {
	buffer := make([]byte, 4096)
	for {
		n, err := s.user.Read(buffer)
		s.mu.Lock()
		s.written.Write(buffer[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Text returns what the program has written, control sequences included.
func (s *Screen) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written.String()
}

// Await waits until the program has written a match of a pattern since it had written n bytes.
func (s *Screen) Await(n int, pattern string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return regexp.MustCompile(pattern).MatchString(s.Text()[n:]) }, time.Minute,
		20*time.Millisecond, "%s is not on the screen", pattern)
}

// Press sends keys, and returns the number of bytes that the program had written before.
func (s *Screen) Press(keys string) int {
	s.t.Helper()
	n := len(s.Text())
	_, err := s.user.WriteString(keys)
	require.NoError(s.t, err)
	return n
}

// Wait waits until the program ends, and returns its error.
func (s *Screen) Wait() error { return s.command.Wait() }

// Open opens both ends of a pseudo-terminal until the test ends: what a user sees and types, and the program's.
func Open(t testing.TB) (user, program *os.File) {
	t.Helper()
	user = open(t, "/dev/ptmx")
	connection, err := user.SyscallConn()
	require.NoError(t, err)
	var number int
	var failed error
	require.NoError(t, connection.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	require.NoError(t, failed)
	return user, open(t, fmt.Sprintf("/dev/pts/%d", number))
}

func open(t testing.TB, path string) *os.File {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return file
}
