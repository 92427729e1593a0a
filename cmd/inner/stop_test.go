package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/kube/clientlog"
)

// asProgram is the variable that makes the test binary run as inner.
const asProgram = "INNER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		_ = os.Unsetenv(asProgram)
		main()
		return
	}
	// The libraries' logger is the process's: it is set before the first client of a test is in use.
	clientlog.Install(zap.NewNop())
	os.Exit(m.Run())
}

// running is an inner serve process.
type running struct {
	t       *testing.T
	command *exec.Cmd
	lines   *bufio.Scanner
	address string
	read    []string
}

// serve starts inner serve with additional variables and waits until it has started.
func (p *program) serve(t *testing.T, variables ...string) *running {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	r := &running{t: t,
		command: exec.CommandContext(t.Context(), self, "serve", "--config", p.config, "-d", p.db.Config.Database.DSN.Reveal(),
			"-k", os.Getenv("INNER_TEST_KUBECONFIG"), "-l", "127.0.0.1:0")}
	r.command.Env = append(os.Environ(), append(variables, asProgram+"=1", "INNER_KUBERNETES_NAMESPACES_WORKER=stop-worker")...)
	pipe, err := r.command.StderrPipe()
	require.NoError(t, err)
	r.lines = bufio.NewScanner(pipe)
	require.NoError(t, r.command.Start())
	t.Cleanup(func() { _ = r.command.Process.Kill() })
	line := r.await("listening")
	r.address, _ = line["address"].(string)
	require.NotEmpty(t, r.address)
	r.await("caches synced") // the informers are started last
	return r
}

// await reads lines until one has this message, and returns it.
func (r *running) await(message string) (line map[string]any) {
	r.t.Helper()
	for r.lines.Scan() {
		r.read = append(r.read, r.lines.Text())
		line = nil
		if json.Unmarshal(r.lines.Bytes(), &line) == nil && line["msg"] == message {
			return line
		}
	}
	require.FailNow(r.t, "the program ended without logging "+message, strings.Join(r.read, "\n"))
	return nil
}

// rest reads all other lines and returns the exit status, -1 for a signal's.
func (r *running) rest() int {
	r.t.Helper()
	for r.lines.Scan() {
		r.read = append(r.read, r.lines.Text())
	}
	_ = r.command.Wait()
	return r.command.ProcessState.ExitCode()
}

func TestSecondSignalEndsProgramAtOnce(t *testing.T) {
	t.Parallel()
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(second.String(), func(t *testing.T) {
			t.Parallel()
			r := setup(t).serve(t, "INNER_HTTP_DRAINTIME=2m")
			require.NoError(t, r.command.Process.Signal(syscall.SIGTERM))
			r.await("drain started")
			begun := time.Now()
			require.NoError(t, r.command.Process.Signal(second))
			require.Equal(t, 128+int(second), r.rest())
			require.Less(t, time.Since(begun), time.Minute)
		})
	}
}

func TestLogIsJSONWhenTraceExportFails(t *testing.T) {
	t.Parallel()
	r := setup(t).serve(t, "INNER_HTTP_DRAINTIME=0s", "INNER_TRACING_ENDPOINT=http://127.0.0.1:1", "INNER_TRACING_TIMEOUT=1s")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.address+"/api/acceptTask",
		strings.NewReader(`{"task_type": "worker.delete_worker_cr", "task_info": {"worker_id": "gone", "user_uid": "nobody"}}`))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.NoError(t, r.command.Process.Signal(syscall.SIGTERM))
	r.await("trace export failed")
	require.Zero(t, r.rest(), strings.Join(r.read, "\n"))
	for _, line := range r.read {
		require.True(t, json.Valid([]byte(line)), line)
	}
}
