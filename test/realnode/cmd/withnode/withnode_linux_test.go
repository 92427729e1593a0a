package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/realnode"
	"app238.com/inner/test/realnode/leftover"
	"app238.com/inner/test/realnode/sandbox"
	"app238.com/inner/test/realnode/testnode"
	"app238.com/inner/test/stack/command"
)

const (
	limit = 2 * time.Minute
	// startLimit is what a node gets to come up, with everything built.
	startLimit = 6 * time.Minute
	tick       = 50 * time.Millisecond
	nobody     = 65534

	// envSelf makes this test binary be withnode.
	envSelf = "INNER_TEST_BE_WITHNODE"
	// envWanted is set by make test-real. Without it these tests, for which a node is started each time, are left out.
	envWanted = "INNER_TEST_START_REALNODE"
)

func TestMain(m *testing.M) {
	if os.Getenv(envSelf) != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// withnode is a run of the program under test, up to the first lines of its command, which runs a pod first.
type withnode struct {
	cmd     *exec.Cmd
	dir     string
	machine leftover.Machine
}

// script runs a container on the node, and says where it is.
const script = `set -e
export PATH="$PATH:/usr/sbin"
ctr --address "$INNER_TEST_REALNODE/run/containerd.sock" --namespace k8s.io run --detach localhost/pause:1 left
echo "$INNER_TEST_REALNODE"
`

func begin(t *testing.T, then string) *withnode {
	t.Helper()
	if os.Getenv(envWanted) == "" {
		testnode.LeaveOut(t, "")
	}
	if err := sandbox.Possible(); err != nil {
		testnode.LeaveOut(t, err.Error())
	}
	machine, err := leftover.Observe()
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	w := &withnode{cmd: exec.CommandContext(t.Context(), self, "--", "sh", "-c", script+then), machine: machine}
	w.cmd.Env = append(os.Environ(), envSelf+"=yes")
	stderr := &bytes.Buffer{}
	w.cmd.Stderr = stderr
	w.cmd.WaitDelay = limit // for what should be gone and holds the output
	output, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, w.cmd.Start())
	watchdog := time.AfterFunc(startLimit, func() { _ = w.cmd.Process.Kill() })
	defer watchdog.Stop()
	lines := bufio.NewScanner(output)
	require.True(t, lines.Scan(), "withnode ended: %s", stderr)
	w.dir = lines.Text()
	require.DirExists(t, w.dir)
	return w
}

func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	w := begin(t, "exit 7")
	require.Error(t, w.cmd.Wait())
	require.Equal(t, 7, w.cmd.ProcessState.ExitCode())
	left, err := w.machine.Of(w.dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestNothingIsLeftWhenKilled(t *testing.T) {
	t.Parallel()
	w := begin(t, "sleep 1000")
	require.FileExists(t, filepath.Join(w.dir, "kubelet.log"))
	require.NoError(t, w.cmd.Process.Kill())
	var left []string
	require.Eventually(t, func() bool {
		var err error
		left, err = w.machine.Of(w.dir)
		return err == nil && len(left) == 0
	}, limit, tick)
	require.Empty(t, left)
	require.Error(t, w.cmd.Wait())
}

func TestUsage(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	for _, arguments := range [][]string{{}, {"--"}, {"--unknown", "--", "true"}} {
		cmd := exec.CommandContext(t.Context(), self, arguments...)
		cmd.Env = append(os.Environ(), envSelf+"=yes")
		output, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, command.Usage, cmd.ProcessState.ExitCode(), arguments)
		require.Contains(t, string(output), "usage: withnode")
	}
}

func TestMachineWithoutNodes(t *testing.T) {
	t.Parallel()
	const show = `echo "without: $` + realnode.EnvWhyNot + `"`
	output, err := unprivileged(t, realnode.EnvRequire+"=", "--", "sh", "-c", show).CombinedOutput()
	require.NoError(t, err)
	require.Contains(t, string(output), "withnode: no real node on this machine: it needs root\n")
	require.Contains(t, string(output), "without: no real node on this machine: it needs root\n")

	output, err = unprivileged(t, realnode.EnvRequire+"=yes", "--", "sh", "-c", show).CombinedOutput()
	require.Error(t, err)
	require.Equal(t, "withnode: no real node on this machine: it needs root\n", string(output))
}

// unprivileged prepares a run of withnode as a user who may not have a node.
func unprivileged(t *testing.T, variable string, arguments ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	program, err := os.ReadFile(self)
	require.NoError(t, err)
	// Others cannot reach the folder of this program, nor t.TempDir.
	file, err := os.CreateTemp("", "withnode-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.Remove(file.Name())) })
	_, err = file.Write(program)
	require.NoError(t, errors.Join(err, file.Chmod(0o755), file.Close()))
	cmd := exec.CommandContext(t.Context(), file.Name(), arguments...)
	cmd.Env = append(os.Environ(), envSelf+"=yes", variable)
	cmd.Dir = "/"
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Gid: nobody, Uid: nobody}}
	}
	return cmd
}
