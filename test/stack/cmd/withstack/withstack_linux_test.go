package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/stack"
	"app238.com/inner/test/stack/command"
	"app238.com/inner/test/stack/process"
	"app238.com/inner/test/stack/workdir"
)

const (
	limit = time.Minute
	tick  = 20 * time.Millisecond

	// envStuck keeps the idle server from ever getting ready.
	envStuck = "INNER_TEST_STUCK"

	// envSelf makes this test binary be withstack, beside the real servers or beside one that does nothing.
	envSelf  = "INNER_TEST_BE_WITHSTACK"
	realOnes = "real"
	idleOne  = "idle"
)

func TestMain(m *testing.M) {
	switch os.Getenv(envSelf) {
	case realOnes:
		os.Exit(run(os.Args[1:], startStack))
	case idleOne:
		os.Exit(run(os.Args[1:], startIdle))
	}
	os.Exit(m.Run())
}

// idle is a server that does nothing but run, in a folder of its own.
type idle struct {
	dir    *workdir.Dir
	server *process.Process
}

func startIdle(ctx context.Context, _ []string) (command.Servers, error) {
	dir, err := workdir.New()
	if err != nil {
		return nil, err
	}
	log := filepath.Join(dir.Path(), "idle.log")
	server, err := process.Start(process.Spec{
		Args: []string{"-c", "echo ready; exec sleep 1000"}, LogFile: log, Name: "idle", Path: "/bin/sh",
	})
	if err != nil {
		return nil, err
	}
	return idle{dir: dir, server: server}, server.Await(ctx, tick, func(context.Context) error {
		if os.Getenv(envStuck) != "" || !strings.Contains(server.Tail(), "ready") {
			return errors.New("not ready")
		}
		return nil
	})
}

func (i idle) Close() error {
	i.server.Kill()
	return i.dir.Close()
}

func (i idle) Environment() []string {
	return []string{stack.EnvControlPlaneDir + "=" + i.dir.Path()}
}

// withstack is a run of the program under test, up to the first lines of its command.
type withstack struct {
	cmd    *exec.Cmd
	output *bufio.Scanner
	stderr *bytes.Buffer
}

func begin(t *testing.T, kind string, arguments ...string) *withstack {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	w := &withstack{cmd: exec.CommandContext(t.Context(), self, arguments...), stderr: &bytes.Buffer{}}
	w.cmd.Env = append(os.Environ(), envSelf+"="+kind)
	w.cmd.Stderr = w.stderr
	w.cmd.WaitDelay = limit // for what should be gone and holds the output
	output, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	w.output = bufio.NewScanner(output)
	require.NoError(t, w.cmd.Start())
	return w
}

// line returns the command's next line.
func (w *withstack) line(t *testing.T) string {
	t.Helper()
	require.True(t, w.output.Scan(), "withstack ended: %s", w.stderr)
	return w.output.Text()
}

// children lists the processes whose parent is the given one.
func children(t *testing.T, parent int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	var found []int
	for _, path := range stats {
		fields, ok := stat(path)
		if !ok || fields[1] != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		require.NoError(t, err)
		found = append(found, pid)
	}
	return found
}

// stat returns the fields of a process from its state on.
func stat(path string) ([]string, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	return fields, len(fields) > 1
}

func gone(pid int) bool {
	fields, ok := stat(fmt.Sprintf("/proc/%d/stat", pid))
	return !ok || fields[0] == "Z"
}

func TestKilledWithstackLeavesNothing(t *testing.T) {
	t.Parallel()
	w := begin(t, realOnes, "--", "sh", "-c", `sleep 1000 & echo $!; echo $`+stack.EnvControlPlaneDir+`; wait`)
	grandchild, err := strconv.Atoi(w.line(t))
	require.NoError(t, err)
	dir := w.line(t)
	require.DirExists(t, dir)
	all := append(children(t, w.cmd.Process.Pid), grandchild)
	require.GreaterOrEqual(t, len(all), 6+1+2, "six servers, a guard, the command and its child")

	require.NoError(t, w.cmd.Process.Kill())
	require.Error(t, w.cmd.Wait())
	for _, pid := range all {
		require.Eventually(t, func() bool { return gone(pid) }, limit, tick, "process %d outlives withstack", pid)
	}
}

func TestWithstackKilledAtAnyTimeLeavesNothing(t *testing.T) {
	t.Parallel()
	for range 20 {
		w := begin(t, idleOne, "--", "sh", "-c", `sleep 1000 & echo $!; wait`)
		grandchild, err := strconv.Atoi(w.line(t))
		require.NoError(t, err)
		require.NoError(t, w.cmd.Process.Kill())
		require.Eventually(t, func() bool { return gone(grandchild) }, limit, tick)
		require.Error(t, w.cmd.Wait())
	}
}

func TestCommandsLeftoversEnd(t *testing.T) {
	t.Parallel()
	w := begin(t, idleOne, "--", "sh", "-c", `sleep 1000 & echo $!`)
	leftover, err := strconv.Atoi(w.line(t))
	require.NoError(t, err)
	require.NoError(t, w.cmd.Wait())
	require.Eventually(t, func() bool { return gone(leftover) }, limit, tick)
}

func TestOrphanedWithstackEnds(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	parent := exec.CommandContext(t.Context(), "sh", "-c", `"$0" -- sh -c 'echo $PPID; exec sleep 1000' & wait`, self)
	parent.Env = append(os.Environ(), envSelf+"="+idleOne)
	output, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	lines := bufio.NewScanner(output)
	require.True(t, lines.Scan())
	pid, err := strconv.Atoi(lines.Text())
	require.NoError(t, err)
	all := append(children(t, pid), pid)

	require.NoError(t, parent.Process.Kill())
	for _, pid := range all {
		require.Eventually(t, func() bool { return gone(pid) }, limit, tick, "process %d outlives its parent", pid)
	}
	require.Error(t, parent.Wait())
}

func TestSignalsReachTheCommand(t *testing.T) {
	t.Parallel()
	script := `trap "echo stopping; exit 7" TERM; echo $` + stack.EnvControlPlaneDir + `; while :; do sleep 0.01; done`
	w := begin(t, idleOne, "--", "sh", "-c", script)
	dir := w.line(t)
	require.DirExists(t, dir)
	all := children(t, w.cmd.Process.Pid)

	require.NoError(t, w.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, "stopping", w.line(t))
	require.Error(t, w.cmd.Wait())
	require.Equal(t, 7, w.cmd.ProcessState.ExitCode())
	require.NoDirExists(t, dir)
	for _, pid := range all {
		require.True(t, gone(pid), "process %d outlives withstack", pid)
	}
}

func TestSignalDuringTheStart(t *testing.T) {
	t.Setenv(envStuck, "yes")
	w := begin(t, idleOne, "--", "echo", "started")
	require.Eventually(t, func() bool { return len(children(t, w.cmd.Process.Pid)) > 0 }, limit, tick)
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGINT))
	require.False(t, w.output.Scan(), "the command was run")
	require.Error(t, w.cmd.Wait())
	require.Equal(t, command.Failure, w.cmd.ProcessState.ExitCode())
	require.Contains(t, w.stderr.String(), "interrupt")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{{}, {"--"}, {"--crd", "file"}, {"--unknown", "--", "true"}} {
		w := begin(t, idleOne, arguments...)
		require.Error(t, w.cmd.Wait())
		require.Equal(t, command.Usage, w.cmd.ProcessState.ExitCode(), arguments)
		require.Contains(t, w.stderr.String(), "usage: withstack")
	}
}
