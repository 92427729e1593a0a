package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/controller/workerapp"
)

func parseIn(t *testing.T, arguments ...string) (*options, error) {
	t.Helper()
	root, err := findClone(t.Context())
	require.NoError(t, err)
	return parse(t.Context(), root, arguments)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	o, err := parseIn(t)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:9901", o.config.HTTP.Listen)
	require.Equal(t, "http://127.0.0.1:9901", o.address())
	require.Equal(t, simulatedImage, o.image)
	require.False(t, o.givenDB || o.givenKube || o.anyPort || o.once)

	o, err = parseIn(t, "-d", "postgres://u:p@h/d", "-k", "file", "-l", "0.0.0.0:0", "--once", "--port", "7")
	require.NoError(t, err)
	require.True(t, o.givenDB && o.givenKube && o.anyPort && o.once)
	require.Equal(t, publicImage, o.image)
	require.Equal(t, 7, o.port)
	require.Regexp(t, `^http://127\.0\.0\.1:[1-9]\d+$`, o.address())

	for _, wrong := range [][]string{{"-l", "9901"}, {"--no-such-flag"}, {"word"}, {"--config", "no/such/file"}} {
		_, err = parseIn(t, wrong...)
		require.Error(t, err, wrong)
	}
}

func TestAddressInUseIsReported(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	address := listener.Addr().String()
	require.ErrorContains(t, checkListen(t.Context(), address), address+" is taken by another program; choose another")
	require.NoError(t, checkListen(t.Context(), "127.0.0.1:0"))
}

func TestTimelineShowsWhatIsNew(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	times := newTimeline(&screen{begin: time.Now(), out: &out}, 8)
	out.Reset()
	times.show(fact{what: "a", state: absent}, fact{what: "b", state: "made"})
	times.show(fact{what: "a", state: "made"}, fact{what: "b", state: "made"})
	times.show(fact{what: "a", state: absent}, fact{what: "b", state: "made"})
	require.Regexp(t, `^ +\d\.\d\d s  b +made\n +\d\.\d\d s  a +made\n +\d\.\d\d s  a +gone\n$`, out.String())
}

func TestDeployResult(t *testing.T) {
	t.Parallel()
	running := view{
		phase: string(workerapp.Running), rows: rows{worker: "active", version: "success"}, task: task{Status: "finished"},
	}
	running.rows.active.Int64 = 3
	other, deploying := running, running
	other.rows.active.Int64 = 2
	deploying.phase = string(workerapp.Deploying)
	failed := view{rows: rows{message: "no such image"}, task: task{Status: "error", LastError: "the rollout failed"}}
	refused := view{task: task{Status: "error", LastError: "no such worker"}}

	d := &demo{outer: &outer{version: 3}}
	for _, c := range []struct {
		view    view
		over    bool
		failure string
	}{
		{running, true, ""},
		{other, false, ""},
		{deploying, false, ""},
		{failed, true, "no such image"},
		{refused, true, "no such worker"},
	} {
		over, failure := d.result(c.view)
		require.Equal(t, c.over, over, "%+v", c.view)
		if c.failure == "" {
			require.NoError(t, failure)
		} else {
			require.ErrorContains(t, failure, c.failure)
		}
	}
}

func TestCommandsAreOneWordEach(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"plain", "it's", `$HOME "x" \ ; *`, ""} {
		shown, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quote(text)).Output()
		require.NoError(t, err)
		require.Equal(t, text, string(shown))
	}
}

func TestFollowShowsWholeLinesToTheLast(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(path, []byte("one\ntw"), 0o600))
	lines := make(chan string, 8)
	ctx, cancel := context.WithCancel(t.Context())
	wait, err := follow(ctx, path, func(line string) { lines <- line })
	require.NoError(t, err)
	require.Equal(t, "one", <-lines)

	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("o\nthree\n")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	cancel()
	wait()
	close(lines)
	var rest []string
	for line := range lines {
		rest = append(rest, line)
	}
	require.Equal(t, []string{"two", "three"}, rest)
}
