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
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"app238.com/inner/test/realnode"
	"app238.com/inner/test/realnode/leftover"
	"app238.com/inner/test/realnode/sandbox"
	"app238.com/inner/test/realnode/testnode"
	"app238.com/inner/test/stack"
	"app238.com/inner/test/stack/command"
)

const (
	limit = 2 * time.Minute
	// startLimit is what a node gets to come up, with everything built.
	startLimit = 6 * time.Minute
	tick       = 50 * time.Millisecond
	nobody     = 65534

	// envSelf makes this test binary be withnode, envCommand withnode's command.
	envSelf    = "INNER_TEST_BE_WITHNODE"
	envCommand = "INNER_TEST_BE_COMMAND"
	stays      = "stay"
	ends       = "end"
	// statusAtEnd is the command's, for withnode to pass on.
	statusAtEnd = 7
	// envWanted is set by make test-real. Without it these tests, for which a node is started each time, are left out.
	envWanted = "INNER_TEST_START_REALNODE"
)

func TestMain(m *testing.M) {
	if then := os.Getenv(envCommand); then != "" && os.Getenv(realnode.EnvDir) != "" {
		os.Exit(runPod(then))
	}
	if os.Getenv(envSelf) != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// runPod is withnode's command: it runs a pod, says where the node is, and stays or ends with the pod running.
func runPod(then string) int {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := deploy(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return command.Failure
	}
	fmt.Println(os.Getenv(realnode.EnvDir))
	if then == stays {
		<-make(chan struct{})
	}
	return statusAtEnd
}

// deploy returns when the pod runs.
func deploy(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv(stack.EnvKubeconfig))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	pods := client.CoreV1().Pods("worker")
	_, err = pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "left"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "left", Image: realnode.PauseImage}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return wait.PollUntilContextCancel(ctx, tick, true, func(ctx context.Context) (bool, error) {
		pod, err := pods.Get(ctx, "left", metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning, err
	})
}

// withnode is a run of the program under test, up to the line of its command that says where the node is.
type withnode struct {
	cmd     *exec.Cmd
	dir     string
	machine leftover.Machine
}

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
	w := &withnode{cmd: exec.CommandContext(t.Context(), self, "--", self), machine: machine}
	w.cmd.Env = append(os.Environ(), envSelf+"=yes", envCommand+"="+then)
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
	w := begin(t, ends)
	require.Error(t, w.cmd.Wait())
	require.Equal(t, statusAtEnd, w.cmd.ProcessState.ExitCode())
	left, err := w.machine.Of(w.dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestNothingIsLeftWhenKilled(t *testing.T) {
	t.Parallel()
	w := begin(t, stays)
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
	file, err := os.CreateTemp("", "withnode-") //nolint:usetesting // others reach neither t.TempDir nor the folder of this program
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
