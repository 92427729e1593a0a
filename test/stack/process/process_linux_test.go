package process_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/stack/process"
)

// envParent makes this test binary start a program and wait to be killed.
const envParent = "INNER_TEST_PROCESS_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envParent); dir != "" {
		os.Exit(parent(dir))
	}
	os.Exit(m.Run())
}

// parent starts a program, says what its process id is, and waits to be killed.
func parent(dir string) int {
	started, err := process.Start(shell(dir, "exec sleep 1000"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(started.PID())
	<-started.Done()
	return 0
}

// gone tells whether a process has ended; one that nobody has waited for yet counts as ended.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}

func TestKillTakesTheGroup(t *testing.T) {
	t.Parallel()
	p := start(t, `sleep 1000 & echo child $!; wait`)
	says(t, p, "child ")
	_, text, _ := strings.Cut(p.Tail(), "child ")
	var child int
	_, err := fmt.Sscan(text, &child)
	require.NoError(t, err)
	require.False(t, gone(child))
	p.Kill()
	require.Eventually(t, func() bool { return gone(child) }, limit, tick)
}

func TestProgramOutlivesItsStartingThread(t *testing.T) {
	t.Parallel()
	spec := shell(t.TempDir(), `trap "exit 4" TERM; echo ready; while :; do sleep 0.01; done`)
	type result struct {
		p      *process.Process
		err    error
		thread int
	}
	started := make(chan result)
	var onDyingThread func()
	onDyingThread = func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if syscall.Gettid() == os.Getpid() {
			defer runtime.UnlockOSThread()
			go onDyingThread() // elsewhere, because the main thread never ends
			return
		}
		p, err := process.Start(spec)
		started <- result{p: p, err: err, thread: syscall.Gettid()}
	}
	go onDyingThread()
	r := <-started
	require.NoError(t, r.err)
	t.Cleanup(r.p.Kill)
	require.Eventually(t, func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", r.thread))
		return errors.Is(err, os.ErrNotExist)
	}, limit, tick)

	says(t, r.p, "ready")
	require.NoError(t, r.p.Stop(t.Context(), limit))
	require.Equal(t, 4, r.p.ExitStatus(), "it was alive until it was stopped")
}

func TestProgramDiesWithItsParent(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), envParent+"="+t.TempDir())
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())

	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	var child int
	_, err = fmt.Sscan(line, &child)
	require.NoError(t, err, line)
	require.False(t, gone(child))

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return gone(child) }, limit, tick)
}
