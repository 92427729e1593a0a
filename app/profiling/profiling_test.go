package profiling_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/profiling"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProfilerIsOffByDefault(t *testing.T) {
	t.Parallel()
	s := profiling.New(&config.Config{}, zap.NewNop())
	require.NoError(t, s.Start(t.Context()))
	require.Empty(t, s.Address())
	require.NoError(t, s.Stop(t.Context()))
}

func TestProfilerServesAndStopsDuringProfile(t *testing.T) {
	t.Parallel()
	s := profiling.New(&config.Config{Profiling: config.Profiling{Listen: "127.0.0.1:0"}}, zap.NewNop())
	require.NoError(t, s.Start(t.Context()))
	client := &http.Client{Transport: &http.Transport{}}
	answer, err := client.Get("http://" + s.Address() + "/debug/pprof/goroutine?debug=1")
	require.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Contains(t, string(text), "goroutine profile: total")
	recorded := make(chan error, 1)
	go func() {
		answer, err := client.Get("http://" + s.Address() + "/debug/pprof/trace?seconds=60")
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
		recorded <- err
	}()
	require.NoError(t, s.Stop(context.Background()))
	if err := <-recorded; err != nil {
		t.Log("the recording was cut off:", err)
	}
	client.CloseIdleConnections()
}
