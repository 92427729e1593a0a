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

// terminal opens a terminal of the test's own.
func terminal(t *testing.T) *os.File {
	t.Helper()
	master := open(t, "/dev/ptmx")
	connection, err := master.SyscallConn()
	require.NoError(t, err)
	var number int
	var fault error
	require.NoError(t, connection.Control(func(fd uintptr) {
		if fault = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); fault == nil {
			number, fault = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	require.NoError(t, fault)
	return open(t, fmt.Sprintf("/dev/pts/%d", number))
}

func TestColoursAreForTerminalsWhoseUsersWantThem(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	tty := terminal(t)
	require.True(t, takesColour(tty))
	require.False(t, takesColour(open(t, filepath.Join(t.TempDir(), "file"))))
	require.False(t, takesColour(open(t, "/dev/null")), "a device, and no terminal")
	t.Setenv("TERM", "dumb")
	require.False(t, takesColour(tty))
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	require.False(t, takesColour(tty))
}
