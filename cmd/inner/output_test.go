package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// open opens a file until the test ends.
func open(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOCTTY, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	return file
}

// terminal opens a pseudo-terminal.
func terminal(t *testing.T) *os.File {
	t.Helper()
	master := open(t, "/dev/ptmx")
	connection, err := master.SyscallConn()
	require.NoError(t, err)
	var number int
	var failed error
	require.NoError(t, connection.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	require.NoError(t, failed)
	return open(t, fmt.Sprintf("/dev/pts/%d", number))
}

func TestColoursAreForTerminalsOnly(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	tty := terminal(t)
	require.True(t, supportsColour(tty))
	require.False(t, supportsColour(open(t, filepath.Join(t.TempDir(), "file"))))
	require.False(t, supportsColour(open(t, "/dev/null")), "a device that is no terminal")
	t.Setenv("TERM", "dumb")
	require.False(t, supportsColour(tty))
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	require.False(t, supportsColour(tty))
}
