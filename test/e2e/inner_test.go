package e2e_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/program"
)

// inner is a running Inner Gateway.
type inner struct {
	cmd  *exec.Cmd
	url  string
	done chan struct{}
}

// start runs `inner serve`, with further variables ("NAME=value"), until the test ends, and waits until it is ready. Its log
// is appended to the fixture's.
func (w *fixture) start(t *testing.T, variables ...string) *inner {
	t.Helper()
	i := w.startAnyhow(t, variables...)
	i.awaitReady(t)
	return i
}

func (i *inner) awaitReady(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		status, _ := i.get(t, "/readyz")
		return status == http.StatusOK
	}, timeout, 50*time.Millisecond, "Inner does not become ready")
}

// command is a run of the program with the fixture's configuration, until the test ends.
func (w *fixture) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), cmp.Or(w.program, program.Path()), append(args, "--config", w.configFile)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 40 * time.Second
	return cmd
}

// startAnyhow runs `inner serve` and waits until it listens.
func (w *fixture) startAnyhow(t *testing.T, variables ...string) *inner {
	t.Helper()
	log, err := os.OpenFile(w.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	cmd := w.command(t, "serve")
	cmd.Env = append(os.Environ(), variables...)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	i := &inner{cmd: cmd, done: make(chan struct{})}
	address := make(chan string, 1)
	go func() {
		defer close(i.done)
		follow(stderr, log, address)
		_ = cmd.Wait()
		_ = log.Close()
	}()
	t.Cleanup(i.stop)
	select {
	case a := <-address:
		i.url = "http://" + a
	case <-i.done:
		t.Fatalf("Inner ended at its start:\n%s", w.log(t))
	case <-time.After(timeout):
		t.Fatal("Inner does not listen")
	}
	return i
}

// follow copies the log and returns the address that Inner listens on.
func follow(from io.Reader, to io.Writer, address chan<- string) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, _ = to.Write(append(lines.Bytes(), '\n'))
		var line struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			address <- line.Address
		}
	}
}

// log returns the log of all Inners of this fixture.
func (w *fixture) log(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(w.logFile)
	require.NoError(t, err)
	return string(content)
}

// kill ends Inner like a crash.
func (i *inner) kill() {
	_ = i.cmd.Process.Kill()
	<-i.done
}

// stop ends Inner gracefully.
func (i *inner) stop() {
	_ = i.cmd.Process.Signal(syscall.SIGTERM)
	<-i.done
}

func (i *inner) get(t *testing.T, path string) (int, string) {
	t.Helper()
	return i.send(t, http.MethodGet, path, "")
}

func (i *inner) post(t *testing.T, path, body string) (int, string) {
	t.Helper()
	return i.send(t, http.MethodPost, path, body)
}

// send sends a request and returns status and body; status 0 without an answer.
func (i *inner) send(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, i.url+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	var text bytes.Buffer
	if _, err := text.ReadFrom(answer.Body); err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, text.String()
}

// accept posts a task and returns its id.
func (i *inner) accept(t *testing.T, body string) int64 {
	t.Helper()
	status, answer := i.post(t, "/api/acceptTask", body)
	require.Equal(t, http.StatusOK, status, answer)
	var receipt struct {
		TaskID int64 `json:"task_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &receipt))
	return receipt.TaskID
}

// task returns a task's status and details.
func (i *inner) task(t *testing.T, w *fixture, id int64) (status, detail string) {
	t.Helper()
	require.NoError(t, w.db.QueryRowContext(t.Context(),
		`SELECT task_status, task_detailed_status FROM console_tasks WHERE id = $1`, id).Scan(&status, &detail))
	return status, detail
}

func (i *inner) awaitTask(t *testing.T, w *fixture, id int64, want string) (detail string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var status string
		status, detail = i.task(t, w, id)
		return status == want
	}, timeout, 50*time.Millisecond, "task %d does not become %s", id, want)
	return detail
}
