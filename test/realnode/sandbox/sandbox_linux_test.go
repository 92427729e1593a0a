package sandbox_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"app238.com/inner/test/realnode/leftover"
	"app238.com/inner/test/realnode/sandbox"
	"app238.com/inner/test/realnode/testnode"
	"app238.com/inner/test/stack/command"
)

const (
	limit = time.Minute
	tick  = 20 * time.Millisecond

	// envSelf makes this test binary run a script in a sandbox.
	envSelf = "INNER_TEST_BE_SANDBOX"

	// traces does what a node does, and leaves it all behind.
	traces = `set -e
ip link set lo up
ip link add rn0 type bridge
ip netns add pod
mkdir /run/containerd /var/lib/cni /var/log/pods "$INNER_TEST_SANDBOX_DIR/mounted"
mount -t tmpfs left "$INNER_TEST_SANDBOX_DIR/mounted"
setsid sleep 1000 >/dev/null 2>&1 &
for hierarchy in /sys/fs/cgroup/*/"$INNER_TEST_SANDBOX_GROUP" /sys/fs/cgroup/"$INNER_TEST_SANDBOX_GROUP"; do
	if [ -d "$hierarchy" ]; then mkdir "$hierarchy/pods"; fi
done
echo $! >/sys/fs/cgroup/pids/"$INNER_TEST_SANDBOX_GROUP"/pods/cgroup.procs ||
	echo $! >/sys/fs/cgroup/"$INNER_TEST_SANDBOX_GROUP"/pods/cgroup.procs
test "$(cat /proc/sys/vm/overcommit_memory)" = 1
echo 7 >/proc/sys/kernel/panic
echo "$INNER_TEST_SANDBOX_DIR"
`
)

func TestMain(m *testing.M) {
	if status, mine := sandbox.Main(os.Args[1:]); mine {
		os.Exit(status)
	}
	if script := os.Getenv(envSelf); script != "" {
		os.Exit(runScript(script))
	}
	os.Exit(m.Run())
}

// runScript runs the script in a sandbox, whichever side of it this process is on.
func runScript(script string) int {
	if _, inside := sandbox.Inside(); !inside {
		status, err := sandbox.Run("", nil)
		if err != nil {
			return command.Failure
		}
		return status
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return max(cmd.ProcessState.ExitCode(), command.Failure)
	}
	return 0
}

func TestSandboxProbesAreConcurrent(t *testing.T) {
	t.Parallel()
	// That there are none at all is not this test's matter.
	if err := sandbox.Possible(); err != nil {
		testnode.LeaveOut(t, "no sandbox on this machine: "+err.Error())
	}
	var asked errgroup.Group
	for range 32 {
		asked.Go(sandbox.Possible)
	}
	require.NoError(t, asked.Wait())
}

// run is a sandbox whose script has left its traces.
type run struct {
	cmd     *exec.Cmd
	dir     string
	machine leftover.Machine
}

func begin(t *testing.T, then string) *run {
	t.Helper()
	if err := sandbox.Possible(); err != nil {
		testnode.LeaveOut(t, "no sandbox on this machine: "+err.Error())
	}
	machine, err := leftover.Observe()
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	r := &run{cmd: exec.CommandContext(t.Context(), self), machine: machine}
	r.cmd.Env = append(os.Environ(), envSelf+"="+traces+then)
	stderr := &bytes.Buffer{}
	r.cmd.Stderr = stderr
	r.cmd.WaitDelay = limit // for what should be gone and holds the output
	output, err := r.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, r.cmd.Start())
	lines := bufio.NewScanner(output)
	if !lines.Scan() {
		failure := r.cmd.Wait() // from then on nobody writes to stderr
		t.Fatalf("the sandbox ended: %v: %s", failure, stderr)
	}
	r.dir = lines.Text()
	require.DirExists(t, r.dir)
	return r
}

func (r *run) nothingIsLeft(t *testing.T) {
	t.Helper()
	var left []string
	require.Eventually(t, func() bool {
		var err error
		left, err = r.machine.Of(r.dir)
		return err == nil && len(left) == 0
	}, limit, tick)
}

func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	r := begin(t, "exit 7")
	require.Error(t, r.cmd.Wait())
	require.Equal(t, 7, r.cmd.ProcessState.ExitCode())
	left, err := r.machine.Of(r.dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestNothingIsLeftWhenKilled(t *testing.T) {
	t.Parallel()
	r := begin(t, "sleep 1000")
	require.NoError(t, r.cmd.Process.Kill())
	r.nothingIsLeft(t)
	require.Error(t, r.cmd.Wait())
}

func TestSignalsReachTheProgram(t *testing.T) {
	t.Parallel()
	r := begin(t, "sleep 1000")
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGTERM))
	require.Error(t, r.cmd.Wait())
	r.nothingIsLeft(t)
}

// TestNextSandboxRemovesLeftovers kills the keeper, which nobody watches over.
func TestNextSandboxRemovesLeftovers(t *testing.T) {
	t.Parallel()
	r := begin(t, "sleep 1000")
	require.NoError(t, syscall.Kill(child(t, r.cmd.Process.Pid), syscall.SIGKILL))
	require.Error(t, r.cmd.Wait())
	require.DirExists(t, r.dir)

	next := begin(t, "exit 0")
	require.NoError(t, next.cmd.Wait())
	r.nothingIsLeft(t)
}

// child returns the only child of a process.
func child(t *testing.T, parent int) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, path := range stats {
		data, err := os.ReadFile(path)
		_, rest, ok := strings.Cut(string(data), ") ")
		if fields := strings.Fields(rest); err != nil || !ok || len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		found, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		require.NoError(t, err)
		return found
	}
	t.Fatalf("process %d has no child", parent)
	return 0
}
